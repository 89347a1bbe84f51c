"""`python -m workstation`."""

if __name__ == "__main__":
    from workstation.cli.main import main

    main()
