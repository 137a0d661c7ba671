"""Ends the process at import, as a script without a main guard does."""

import sys

sys.exit("usage: loader_exits FILE")
