"""`python -m harness` is the command line."""

from harness.commands.cli import main

if __name__ == "__main__":
    main()
