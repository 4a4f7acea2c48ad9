#!/usr/bin/env python
"""What do videos show? python tools/predict_net.py --model RUN VIDEO ... [--max-gmacs X] [--output predictions.csv]"""

import sys

from mutualnet3d.commands.predict import main

if __name__ == "__main__":
    sys.exit(main())
