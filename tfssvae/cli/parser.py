"""The commands of `tfssvae` and what they take."""

import argparse

from tfssvae import __version__
from tfssvae.cli import (
    bench,
    compare,
    convert,
    evaluate,
    export,
    report,
    reproduce,
    sample,
    serve,
    sweep,
    train,
)

_COMMANDS = (
    train,
    sweep,
    evaluate,
    sample,
    report,
    compare,
    export,
    serve,
    reproduce,
    convert,
    bench,
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its `run` is the function of the command that was named."""
    parser = argparse.ArgumentParser(
        prog="tfssvae",
        description="Semi-supervised variational autoencoders: train, evaluate, sample, export.",
        epilog=train.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfssvae {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
