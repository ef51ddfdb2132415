"""``python -m burgerslab``."""

import sys

from burgerslab.cli import main

if __name__ == "__main__":
    sys.exit(main())
