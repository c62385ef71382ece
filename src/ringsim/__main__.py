"""``python -m ringsim``: the command line where the script is not on the path."""

from ringsim.cli import main

main()
