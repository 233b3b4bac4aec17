"""`python -m mailproxy` is the `mailproxy` command."""

import sys

from mailproxy.cli.main import main

sys.exit(main())
