#!/usr/bin/env python
"""Write sub-networks of a trained network as files that run without it: see --help."""

import sys

from mutualnet3d.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
