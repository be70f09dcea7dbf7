"""`python -m harness` is the command line."""

import sys

from harness.commands.signals import end_politely, ignore, taken


def main() -> None:
    """Start it; what cannot even be imported ends with 3 as well, because 1 is a bad result."""
    try:
        # First of all: importing the rest takes seconds on a busy machine.
        end_politely()
        from harness.commands import cli
    except KeyboardInterrupt:
        taken()
        ignore()
        sys.exit(130)
    except Exception as error:
        print(f"lenet-bench: It is not installed as it should be ({type(error).__name__}: {error}).", file=sys.stderr)
        sys.exit(3)
    cli.main()


if __name__ == "__main__":
    main()
