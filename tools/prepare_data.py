#!/usr/bin/env python
"""From a folder of videos, a sub-folder a class, to lists and a config: tools/prepare_data.py FOLDER --output DIR"""

import sys

if __name__ == "__main__":
    from mutualnet3d.commands.prepare import main  # here: each process that checks a video imports this file

    sys.exit(main())
