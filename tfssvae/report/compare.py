"""The page and the text of a comparison of runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tfssvae import evaluation
from tfssvae.data import Data
from tfssvae.evaluation.paired import Difference, Estimate
from tfssvae.report import checked_page, write_page
from tfssvae.report.comparison import Comparison, Row
from tfssvae.report.curve_sections import curve_sections
from tfssvae.report.measures import Measure
from tfssvae.report.page import Fact, Head, Picture, Section, Table
from tfssvae.report.run import Run, load
from tfssvae.report.sections import picture_sections

Say = Callable[[str], None]

_MOST_SHOWN = 6  # groups whose pictures fit side by side
_NONE, _NOT_PAIRED = "-", "not paired"


def write_comparison(comparison: Comparison, out: Path | None = None, say: Say = print) -> Path:
    """Write a comparison as one HTML page that needs no other file.

    The pictures are of the first run of each group, of six groups at most.

    Args:
        comparison: see `comparison.compare`.
        out: the page; None: comparison.html in the current folder.
        say: receives a line for people at each stage.

    Returns:
        Where the page is.

    Raises:
        InputError: out is a folder, or a model is missing or damaged.
    """
    path = checked_page(out, Path("comparison.html"))
    shown = [
        replace(load(group.runs[0].folder, say), name=group.name)
        for group in comparison.groups[:_MOST_SHOWN]
    ]
    return write_page(
        path, _head(comparison, shown[0].data), _sections(comparison, shown, say), say
    )


def _head(comparison: Comparison, data: Data) -> Head:
    groups = comparison.groups
    notes = []
    unpaired = [group.name for group in groups[1:] if not set(group.seeds) & set(groups[0].seeds)]
    if unpaired:
        notes.append(
            f"{', '.join(unpaired)}: no seed in common with {groups[0].name}, so nothing is paired "
            "and no difference is given. Train the same seeds."
        )
    if len(groups) > _MOST_SHOWN:
        names = ", ".join(group.name for group in groups[_MOST_SHOWN:])
        notes.append(f"Pictures are of the first {_MOST_SHOWN} settings: none of {names}.")
    number = sum(len(group.runs) for group in groups)
    lead = (
        f"{number} runs of {len(groups)} settings, measured on the same test data. Runs that "
        "differ in nothing but the seed are taken together."
    )
    facts = []
    main = _main_row(comparison)
    if main is not None:
        facts = [
            Fact(group.name, _mean_text(main.measure, mean), main.measure.title)
            for group, mean in zip(groups, main.means, strict=True)
        ]
    names = " and ".join(group.name for group in groups) if len(groups) < 4 else "Comparison"
    return Head(f"{names} on {data.name}", [lead], notes, facts[:_MOST_SHOWN])


def _main_row(comparison: Comparison) -> Row | None:
    """Return the first figure that every group has."""
    return next((row for row in comparison.rows if all(row.values)), None)


def _sections(comparison: Comparison, shown: Sequence[Run], say: Say) -> Iterator[Section]:
    for section in _tables(comparison):
        yield section._replace(chapter="Comparison")
    histories = {
        group.name: [run.metrics["history"] for run in group.runs] for group in comparison.groups
    }
    for section in curve_sections(histories, shown[0].data, [run.model for run in shown]):
        yield section._replace(chapter="Training")
    yield from picture_sections(shown, say)


def _tables(comparison: Comparison) -> Iterator[Section]:
    groups = comparison.groups
    names = [group.name for group in groups]
    yield Section(
        "Figures side by side",
        "Mean over the seeds ± standard error of the mean; a single run has none.",
        [figures_table(comparison)],
        wide=True,
    )
    if len(groups) > 1:
        yield Section(
            "Paired differences",
            f"Each minus {names[0]}, seed by seed: mean ± standard error, the 95% interval of "
            "Student's t, and the number of pairs. An interval that does not hold 0 is a "
            "difference that the choice of seeds does not explain; from two or three seeds an "
            "interval is wide for good reason. Of intervals at 95% about one in twenty misses 0 by "
            "chance alone: among many figures a single one that does is no finding yet.",
            [differences_table(comparison)],
            wide=True,
        )
    main = _main_row(comparison)
    if main is not None and any(len(found) > 1 for found in main.values):
        values = dict(zip(names, main.values, strict=True))
        scale = 100 if main.measure.is_fraction else 1
        title = f"{main.measure.title}{', %' if main.measure.is_fraction else ''}"
        scaled = {
            name: {seed: scale * value for seed, value in found.items()}
            for name, found in values.items()
        }
        yield Section(
            "Seed by seed",
            _agreement(main),
            [Picture(partial(evaluation.seeds_figure, scaled, title), f"{title}, seed by seed")],
        )
    yield Section(
        "Settings that differ",
        "Everything else is the same. A setting that is not set is the method's own.",
        [settings_table(comparison)],
    )
    yield Section(
        "Runs",
        "The folders, by seed.",
        [
            Table(
                ("group", "seed", "folder"),
                [
                    (group.name, str(run.seed), str(run.folder))
                    for group in groups
                    for run in group.runs
                ],
            )
        ],
    )


def _agreement(row: Row) -> str:
    """Return what lines of seeds that go the same way say, which is little."""
    lines = max((len(set(row.values[0]) & set(found)) for found in row.values[1:]), default=0)
    if lines < 2:
        return "A point for each seed."
    return (
        f"A line for each seed. Even where two settings are equally good, {lines} lines all go the "
        f"same way in one of {2 ** (lines - 1):,} cases by chance: the interval above says how "
        "sure a difference is."
    )


def settings_table(comparison: Comparison) -> Table:
    """Return the settings that differ, a column for each group."""
    rows = [(name, *texts) for name, texts in comparison.settings.items()]
    seeds = [", ".join(map(str, group.seeds)) for group in comparison.groups]
    return Table(_heads(comparison), [*rows, ("seeds", *seeds)])


def figures_table(comparison: Comparison) -> Table:
    """Return the means of the figures, a column for each group."""
    rows = [
        (row.measure.title, *(_mean_text(row.measure, mean) for mean in row.means))
        for row in comparison.rows
    ]
    return Table(_heads(comparison), rows, numbers=True)


def differences_table(comparison: Comparison) -> Table:
    """Return the paired differences from the first group, a column for each other one.

    Figures that the settings do not decide are left out.
    """
    heads = [f"{group.name} - {comparison.groups[0].name}" for group in comparison.groups[1:]]
    rows = []
    for row in comparison.rows:
        if _is_no_outcome(row):
            continue
        texts = [
            _NONE if not (row.values[0] and other) else _difference_text(row.measure, found)
            for other, found in zip(row.values[1:], row.differences, strict=True)
        ]
        if set(texts) != {_NONE}:
            rows.append((row.measure.title, *texts))
    return Table(("", *heads), rows, numbers=True)


def _is_no_outcome(row: Row) -> bool:
    """Whether a figure is no result, or that of a part which the pairs have in common."""
    paired = [found for found in row.differences if found is not None]
    alike = all(found.mean == 0 and not found.standard_error for found in paired)
    return row.measure.key == "seconds" or (
        row.measure.key == "labels_alone" and bool(paired) and alike
    )


def _heads(comparison: Comparison) -> tuple[str, ...]:
    return ("", *(group.name for group in comparison.groups))


def _mean_text(measure: Measure, found: Estimate | None) -> str:
    if found is None:
        return _NONE
    text = measure.text(found.mean)
    return (
        text if found.standard_error is None else f"{text} ± {measure.text(found.standard_error)}"
    )


def _difference_text(measure: Measure, found: Difference | None) -> str:
    if found is None:
        return _NOT_PAIRED
    text = measure.difference(found.mean, found.standard_error, found.interval)
    return f"{text}, n = {len(found.seeds)}"


def as_text(comparison: Comparison) -> str:
    """Return the tables of a comparison for a terminal."""
    parts = [
        ("settings that differ", settings_table(comparison)),
        ("mean ± standard error over seeds, test data", figures_table(comparison)),
    ]
    if len(comparison.groups) > 1:
        title = "paired differences over seeds: mean ± standard error [95% interval of t] pairs"
        parts.append((title, differences_table(comparison)))
    return "\n\n".join(f"{title}\n{_aligned(table)}" for title, table in parts)


def _aligned(table: Table) -> str:
    lines = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if place and table.numbers else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
