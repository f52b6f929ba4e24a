"""`python -m tfssvae`."""

import sys

from tfssvae.cli import main

sys.exit(main())
