#!/usr/bin/env python
"""The best configuration for a budget, or the query table in another format: see --help."""

import sys

from mutualnet3d.commands.query import main

if __name__ == "__main__":
    sys.exit(main())
