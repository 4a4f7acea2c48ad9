"""Train, calibrate, test and tabulate as a config enables: python tools/run_net.py --cfg configs/... [KEY VALUE ...]"""

import sys

from mutualnet3d.commands.run import main

if __name__ == "__main__":
    sys.exit(main())
