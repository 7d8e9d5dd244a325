"""The command `jopt`, also `python -m jopt`."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    from jopt.experiments import cli

    sys.exit(cli.main())


if __name__ == "__main__":
    main()
