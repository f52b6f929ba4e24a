"""The report of a run: one HTML page with its figures and pictures."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tfssvae.checks import InputError
from tfssvae.report.heading import heading
from tfssvae.report.page import Head, Section, page_html
from tfssvae.report.run import load
from tfssvae.report.sections import sections

Say = Callable[[str], None]


def write_report(folder: Path, out: Path | None = None, say: Say = print) -> Path:
    """Write the report of a run as one HTML page that needs no other file.

    Of a run that is not finished it shows the last checkpoint, and says so.

    Args:
        folder: the run folder.
        out: the page; None: report.html in the run folder.
        say: receives a line for people at each stage.

    Returns:
        Where the page is.

    Raises:
        InputError: the folder is not a run, or has neither a model nor a checkpoint; out is a
            folder.
    """
    path = checked_page(out, Path(folder) / "report.html")
    run = load(Path(folder), say)
    return write_page(path, heading(run), sections(run, say), say)


def checked_page(out: Path | None, default: Path) -> Path:
    """Return where a page goes.

    Raises:
        InputError: that is a folder.
    """
    path = default if out is None else Path(out)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file, such as {path / default.name}")
    return path


def write_page(path: Path, head: Head, sections: Iterable[Section], say: Say) -> Path:
    """Write a page; a reader sees the old file or the whole new one, nothing between.

    Args:
        path: the file; missing folders are made.
        head: the top of the page.
        sections: drawn one after the other.
        say: receives a line for each.
    """
    page = page_html(head, _announced(sections, say))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_name(f".{path.name}.partial")
    try:
        partial_file.write_text(page, encoding="utf-8")
        os.replace(partial_file, path)
    finally:
        partial_file.unlink(missing_ok=True)
    return path


def _announced(sections: Iterable[Section], say: Say) -> Iterator[Section]:
    for section in sections:
        say(f"drawing {section.title.lower()}")
        yield section
