"""``python -m evometa``: the command line."""

import sys

from evometa.cli import main

sys.exit(main())
