"""``python -m cervispine`` is the command line."""

from cervispine.cli import main

main()
