"""``python -m evometa``: the command line."""

import sys

from evometa.cli.main import main

sys.exit(main())
