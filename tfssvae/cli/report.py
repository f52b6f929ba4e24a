"""`tfssvae report`."""

from pathlib import Path


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="write one HTML page with the figures and pictures of a run",
        description="Write a page that needs no other file: settings, test figures, learning "
        "curves, information and entropy during training, confusion, calibration, a map of the "
        "classifier's features, generated and reconstructed images.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="HTML", help="the page (RUN/report.html)")
    parser.add_argument(
        "--compare",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="show another run on the same data beside it; may be repeated",
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Write the page."""
    from tfssvae.report import write_report

    print(f"wrote {write_report(options.run_folder, options.out, options.compare)}")
