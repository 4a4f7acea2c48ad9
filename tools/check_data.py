#!/usr/bin/env python
"""Decode videos from end to end and print one JSON line for each: see --help."""

import sys

from mutualnet3d.commands.check_data import main

if __name__ == "__main__":
    sys.exit(main())
