"""Runs side by side: what differs in their settings, their figures, and the paired differences."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfssvae import evaluation
from tfssvae.evaluation.paired import Difference, Estimate
from tfssvae.report.groups import Finished, Group, differing, find_runs, grouped
from tfssvae.report.measures import MEASURES, Measure, measure_of
from tfssvae.report.same_data import check_same_test_data

Say = Callable[[str], None]


# Not of the model, the complement of another figure, or one of many of a kind.
_LEFT_OUT = ("count", "error", "teacher_error", "activated_units_")


class Row(NamedTuple):
    """A figure of the groups.

    Attributes:
        measure: what it is.
        values: for each group seed -> figure, of the runs that have it.
    """

    measure: Measure
    values: list[dict[int, float]]

    @property
    def means(self) -> list[Estimate | None]:
        """Of each group, None where none of its runs has the figure."""
        return [
            evaluation.estimate(list(found.values())) if found else None for found in self.values
        ]

    @property
    def differences(self) -> list[Difference | None]:
        """Of each group but the first from the first, None where no seed is in both."""
        return [evaluation.paired_difference(self.values[0], found) for found in self.values[1:]]


class Comparison(NamedTuple):
    """Groups of runs on the same test data.

    Attributes:
        groups: runs that differ in nothing but the seed; the first is what others differ from.
        settings: setting -> its text in each group, of those that differ.
        rows: the figures.
    """

    groups: list[Group]
    settings: dict[str, list[str]]
    rows: list[Row]


def compare(paths: Sequence[Path], say: Say = print) -> Comparison:
    """Compare finished runs by what they measured on their test data.

    Args:
        paths: run folders, and folders of run folders (as of `tfssvae reproduce`).
        say: receives a line for each run that is left out.

    Raises:
        InputError: a path is no run, there are less than two, two are the same but for their
            folder, or they were measured on different test data.
    """
    runs = find_runs(paths, say)
    groups = grouped(runs)
    check_same_test_data(runs)
    return Comparison(groups, differing(groups), _rows(groups))


def _rows(groups: Sequence[Group]) -> list[Row]:
    found = [{run.seed: _figures(run) for run in group.runs} for group in groups]
    keys = dict.fromkeys(key for group in found for figures in group.values() for key in figures)
    known = {measure.key: place for place, measure in enumerate(MEASURES)}
    ordered = sorted(keys, key=lambda key: known.get(key, len(known)))
    return [
        Row(
            measure_of(key),
            [{seed: f[key] for seed, f in group.items() if key in f} for group in found],
        )
        for key in ordered
    ]


def _figures(run: Finished) -> dict[str, float]:
    """Return the figures of a run that are numbers, without those that say nothing of it."""
    test = run.metrics.get("test", {})
    found = {
        key: float(value)
        for key, value in test.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    found = {key: found[key] for key in found if not key.startswith(_LEFT_OUT)}
    if "clustering_accuracy" in found:  # without labels a class has no number
        judged = ("accuracy", "error", "expected_calibration_error", "log_loss")
        found = {key: value for key, value in found.items() if key not in judged}
    alone = run.metrics.get("labels_alone", {}).get("accuracy")
    if alone is not None:
        found["labels_alone"] = float(alone)
    return {**found, "seconds": float(run.metrics["seconds"])}


def numbers(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as numbers, ready for JSON; groups are named by their id.

    Returns:
        "groups": id -> "name", "settings" (as in config.json, those that are not a default) and
        "runs" (seed -> folder); "reference": the id that others differ from; "settings": name ->
        id -> value, of those that differ, without the groups where it is not set; "figures" and
        "differences": key of metrics.json -> id -> estimate, None where there is none.
    """
    ids = [group.id for group in comparison.groups]
    return {
        "groups": {
            group.id: {
                "name": group.name,
                "settings": group.settings,
                "runs": {str(run.seed): str(run.folder) for run in group.runs},
            }
            for group in comparison.groups
        },
        "reference": ids[0],
        "settings": {
            name: {
                group.id: group.settings[name]
                for group in comparison.groups
                if name in group.settings
            }
            for name in comparison.settings
        },
        "figures": {
            row.measure.key: {
                one: None if found is None else found._asdict()
                for one, found in zip(ids, row.means, strict=True)
            }
            for row in comparison.rows
        },
        "differences": {
            row.measure.key: {
                one: None if found is None else found._asdict()
                for one, found in zip(ids[1:], row.differences, strict=True)
            }
            for row in comparison.rows
        },
    }
