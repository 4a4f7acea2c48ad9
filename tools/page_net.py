#!/usr/bin/env python
"""A page to try a network on: python tools/page_net.py --model RUN_OR_EXPORT --examples FOLDER"""

import sys

from mutualnet3d.commands.page import main

if __name__ == "__main__":
    sys.exit(main())
