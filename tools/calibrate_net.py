#!/usr/bin/env python
"""Add BatchNorm statistics to a model file: python tools/calibrate_net.py --model model.pyth [KEY VALUE ...]"""

import sys

from mutualnet3d.commands.calibrate import main

if __name__ == "__main__":
    sys.exit(main())
