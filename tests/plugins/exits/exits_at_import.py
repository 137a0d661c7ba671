"""Ends the process at import, as a script without a main guard does."""

import sys

sys.exit("usage: exits_at_import FILE")
