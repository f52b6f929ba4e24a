"""`tfssvae compare`."""

import sys
from functools import partial
from pathlib import Path

from tfssvae.cli.arguments import say_of


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="lay several runs side by side, with paired differences over seeds",
        description="Print the settings that differ and the test figures of finished runs, and "
        "write a page that lays their curves and pictures side by side. Runs that differ in "
        "nothing but the seed form a group; other groups differ from the first by the mean of the "
        "differences over the seeds that both have. All must have the same test data.",
    )
    parser.add_argument(
        "run_folders",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run folder, or a folder of run folders such as tfssvae reproduce leaves",
    )
    parser.add_argument("--out", type=Path, metavar="HTML", help="the page (comparison.html)")
    parser.add_argument(
        "--json", action="store_true", help="print JSON, an object a line, instead of text"
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Print the comparison and write the page."""
    from tfssvae.report import checked_page
    from tfssvae.report.compare import as_text, write_comparison
    from tfssvae.report.comparison import compare, numbers

    say, progress = say_of(options), partial(print, file=sys.stderr)
    checked_page(options.out, Path("comparison.html"))
    comparison = compare(options.run_folders, progress)
    say(as_text(comparison), event="comparison", **numbers(comparison))
    page = write_comparison(comparison, options.out, progress)
    say(f"\nwrote {page}", event="page", page=str(page))
