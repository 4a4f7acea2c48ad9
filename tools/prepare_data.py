#!/usr/bin/env python
"""From a folder of videos, a sub-folder a class, to lists and a config: tools/prepare_data.py FOLDER --output DIR"""

import sys


def main(arguments=None) -> int:
    from mutualnet3d.commands.prepare import main as prepare  # here: processes that check videos import this file

    return prepare(arguments)


if __name__ == "__main__":
    sys.exit(main())
