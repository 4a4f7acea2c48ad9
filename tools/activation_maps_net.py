#!/usr/bin/env python
"""Where do configurations look? python tools/activation_maps_net.py --model RUN --input VIDEO --output maps.png"""

import sys

from mutualnet3d.commands.activation_maps import main

if __name__ == "__main__":
    sys.exit(main())
