"""`python -m dgex` and the `dgex` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from dgex.cli.app import run

    run()


if __name__ == "__main__":
    main()
