#!/usr/bin/env python
"""Classify a video or a camera within a budget that changes on the way: see --help."""

import sys

from mutualnet3d.commands.demo import main

if __name__ == "__main__":
    sys.exit(main())
