"""Write a run's report: python tools/report_net.py OUTPUT_DIR [--output FILE] [--compare OTHER_OUTPUT_DIR ...]"""

import sys

from mutualnet3d.commands.report import main

if __name__ == "__main__":
    sys.exit(main())
