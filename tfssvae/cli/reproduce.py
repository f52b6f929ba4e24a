"""`tfssvae reproduce`."""

import argparse
from pathlib import Path

from tfssvae.cli.arguments import add_pixel_range
from tfssvae.recipes import TABLES


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "reproduce",
        allow_abbrev=False,
        help="run the experiments of a published table",
        description="Train every row of a published table with the paper's settings and print the "
        "table beside the paper's. An interrupted command continues where it was when it is "
        "given again. DIR gets a run folder for each row and seed, table.md and table.json.",
        epilog="example:\n  tfssvae reproduce mier/table1 --data fashion_mnist --epochs 30 "
        "--seeds 0 1 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="PAPER/TABLE", help=f"one of: {', '.join(TABLES)}")
    parser.add_argument(
        "--data", required=True, metavar="NAME", help="a data set of the table, or its npz file"
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="of each run (default: the paper's); schedules shrink in proportion",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="S", help="one run a row for each (0)"
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="some rows only (default: all)")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder with NAME.npz files (default $TFSSVAE_DATA)"
    )
    add_pixel_range(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder (runs/reproduce/PAPER-TABLE-DATA)"
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Train the rows of a table and print it."""
    from tfssvae.reproduce import reproduce

    reproduce(
        options.table,
        options.data,
        epochs=options.epochs,
        seeds=options.seeds,
        rows=options.rows,
        out=options.out,
        data_dir=options.data_dir,
        pixel_range=options.pixel_range,
    )
