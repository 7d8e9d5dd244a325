"""The command `jopt`, also `python -m jopt`."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    if sys.argv[1:2] == ["predict"]:  # it needs nothing of the experiments
        from jopt import release

        sys.exit(release.main(sys.argv[2:]))
    from jopt.experiments import cli

    sys.exit(cli.main())


if __name__ == "__main__":
    main()
