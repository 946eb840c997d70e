"""`python -m tinygrad_lr`, and where the command `tinygrad-lr` starts."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
