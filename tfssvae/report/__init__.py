"""The report of a run: one HTML page with its figures and pictures, beside other runs if asked."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tfssvae.checks import InputError
from tfssvae.report.page import Section, page_html
from tfssvae.report.run import Run, check_same_data, load, named_apart
from tfssvae.report.sections import lead, sections, title
from tfssvae.runs import read_metrics

Say = Callable[[str], None]


def write_report(
    folder: Path, out: Path | None = None, others: Sequence[Path] = (), say: Say = print
) -> Path:
    """Write the report of a finished run as one HTML page that needs no other file.

    Args:
        folder: the run folder.
        out: the page; None: report.html in the run folder.
        others: further run folders, on the same data, to show beside the first.
        say: receives a line for people at each stage.

    Returns:
        Where the page is.

    Raises:
        InputError: a folder is not a finished run, the runs have different data, or out is a
            folder.
    """
    path = Path(out) if out is not None else Path(folder) / "report.html"
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file, such as {path / 'report.html'}")
    folders = list({Path(one).resolve(): Path(one) for one in (folder, *others)}.values())
    for one in folders:
        read_metrics(one)  # a run that is not finished is refused before any long work
    runs: list[Run] = []
    for one in folders:
        runs.append(load(one, say))
        check_same_data(runs[0], runs[-1])
    runs = named_apart(runs)
    page = page_html(title(runs), lead(runs), _announced(sections(runs, say), say))
    _write(path, page)
    return path


def _announced(sections: Iterator[Section], say: Say) -> Iterator[Section]:
    for section in sections:
        say(f"drawing {section.title.lower()}")
        yield section


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_name(f".{path.name}.partial")
    try:
        partial_file.write_text(page, encoding="utf-8")
        os.replace(partial_file, path)
    finally:
        partial_file.unlink(missing_ok=True)
