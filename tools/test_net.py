#!/usr/bin/env python
"""Test a calibrated network at many configurations: python tools/test_net.py --model model.pyth [KEY VALUE ...]"""

import sys

from mutualnet3d.commands.test import main

if __name__ == "__main__":
    sys.exit(main())
