"""`python -m mailproxy` is the `mailproxy` command."""

import sys

from mailproxy.app.cli import main

sys.exit(main())
