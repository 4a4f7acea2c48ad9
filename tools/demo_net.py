"""A long video or a camera, within a latency budget: python tools/demo_net.py RUN --input long.mp4 --output out.mp4"""

import sys

from mutualnet3d.commands.demo import main

if __name__ == "__main__":
    sys.exit(main())
