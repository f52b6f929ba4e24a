"""`tfssvae report`."""

from pathlib import Path


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="write one HTML page with the figures and pictures of a run",
        description="Write a page that needs no other file: settings, figures, examples of each "
        "class, learning curves, confusion with the worst mistakes, calibration, generated and "
        "reconstructed images, codes and their prior, likelihood. Of a run that is not finished "
        "it shows the last checkpoint. tfssvae compare lays several runs side by side.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, metavar="HTML", help="the page (RUN/report.html)")
    parser.set_defaults(run=run)


def run(options) -> None:
    """Write the page."""
    from tfssvae.report import write_report

    print(f"wrote {write_report(options.run_folder, options.out)}")
