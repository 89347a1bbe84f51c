"""`python -m workstation`."""

from workstation.cli import main

main()
