"""`tfssvae bench`."""

import argparse
from pathlib import Path

from tfssvae.bench import NAMES, bench


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "bench",
        allow_abbrev=False,
        help="measure speed as a fraction of what this machine can do",
        description="Run one benchmark or all of them, on an otherwise idle machine: images a "
        "second, fraction of the matrix peak measured in the same run, memory. They come with the "
        "source code.",
        epilog="examples:\n  tfssvae bench --out figures\n  tfssvae bench likelihood --methods vae",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help=f"one of: {', '.join(NAMES)} (default: all)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for NAME.json files")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="of the benchmark: NAME --help"
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Run the benchmarks."""
    after = argparse.ArgumentParser(add_help=False, allow_abbrev=False)  # --out behind the name
    after.add_argument("--out", type=Path, default=options.out)
    known, arguments = after.parse_known_args(options.arguments)
    bench(options.name, arguments, known.out)
