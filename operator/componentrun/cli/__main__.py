"""`python -m componentrun.cli`: the same as `componentrun`."""

from componentrun.cli.app import main

main()
