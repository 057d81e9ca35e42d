"""`python -m palaver_server`: the same as `palaver serve`."""

import sys

from .main import main

sys.exit(main(sys.argv[1:]))
