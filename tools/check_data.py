#!/usr/bin/env python
"""Decode videos from end to end and print one JSON line for each: see --help."""

import sys


def main(arguments: list[str] | None = None) -> int:
    from mutualnet3d.commands.check_data import main as check  # here: processes that check videos import this file

    return check(arguments)


if __name__ == "__main__":
    sys.exit(main())
