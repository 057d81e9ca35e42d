"""`python -m palaver_command` is `palaver`."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
