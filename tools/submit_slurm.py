#!/usr/bin/env python
"""Submit a run as a SLURM job of several machines: see --help."""

import sys

from mutualnet3d.commands.submit import main

if __name__ == "__main__":
    sys.exit(main())
