"""Curves of training: what was logged over the epochs, of one run or of several."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tfssvae.checks import InputError
from tfssvae.evaluation.style import plain_legend

INFORMATION = ("monitor/mutual_information", "monitor/entropy")
"""What a run logs of I(y; x) and H(q(y|x)); validation values have "val_" before the name."""

HIDDEN_DIVERGENCE = "hidden_divergence"
"""What a run logs of KL(q(y|x) || smoothed hidden label) of its unlabelled images."""

_PANELS_PER_ROW = 4
_WIDEST_KEY = 60  # characters
_LONGEST_BESIDE = 24  # characters of a name
_IN_NATS = (
    *("loss", "classification", "classification_p", "reconstruction", "mutual_information"),
    HIDDEN_DIVERGENCE,
)
_NATS_BEGIN = ("labelled_", "unlabelled_", "kl_", "entropy")
_TITLES = {
    "monitor/mutual_information": "mutual information I(y; x)",
    "monitor/entropy": "entropy of the classifier H(q(y|x))",
}

Logs = Mapping[str, Sequence[float]]


class _Line(NamedTuple):
    """How one run's values with one prefix are drawn."""

    logs: Logs
    prefix: str
    label: str
    colour: str
    style: Literal["-", "--"]


def history_figure(history) -> Figure:
    """Draw every logged quantity over the epochs, training and validation together.

    The terms of the loss are logged weighted, so that their values add up to the loss.

    Args:
        history: what `fit` and `train` return, or its dict of name -> one value per epoch; or a
            dict of label -> any of these or a list of them, to lay several runs over each other:
            those of one label, such as seeds, have one colour.

    Raises:
        InputError: the history is empty.

    >>> figure = history_figure({"M2": {"loss": [3.0, 2.0]}, "M2 + MIER": {"loss": [2.0, 1.0]}})
    """
    lines = _lines(history)
    names = _quantities(lines)
    if not names:
        raise InputError("the history is empty: train for at least one epoch.")
    columns = min(len(names), _PANELS_PER_ROW)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3 * columns, 2 * rows + 0.6), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _draw_quantity(axes, name, lines)
        axes.set_title(name, fontsize=10)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    _add_legend(figure, lines, names)
    return figure


def quantity_figure(history, name: str) -> Figure:
    """Draw one logged quantity over the epochs, small and without a legend (`history_key`).

    Args:
        history: as for `history_figure`.
        name: of the quantity, see `logged_quantities`.

    Raises:
        InputError: the history has no such quantity.
    """
    lines = _lines(history)
    if name not in _quantities(lines):
        raise InputError(f"the history has no {name}")
    figure = Figure(figsize=(2.6, 1.9), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    _draw_quantity(axes, name, lines)
    axes.set_title(name, fontsize=10)
    return figure


def history_key(history) -> list[str]:
    """Return the names of the kinds of lines that a history is drawn with.

    Args:
        history: as for `history_figure`.
    """
    return list(_kinds(history))


def _kinds(history) -> dict[str, _Line]:
    return {line.label: line for line in _lines(history) if _has_own(line)}


def history_key_figure(history) -> Figure:
    """Draw what the lines of `quantity_figure` stand for.

    Args:
        history: as for `history_figure`.
    """
    kinds = _kinds(history)
    labels = list(kinds)
    columns = max(1, min(len(labels), _WIDEST_KEY // (max(map(len, labels)) + 6)))
    height = 0.1 + 0.22 * -(-len(labels) // columns)
    letters = columns * (max(map(len, labels)) + 6)
    figure = Figure(figsize=(0.2 + 0.075 * letters, height), dpi=100)
    handles = [Line2D([], [], color=kind.colour, linestyle=kind.style) for kind in kinds.values()]
    plain_legend(
        figure, handles, labels, loc="center left", ncols=columns, fontsize=8, frameon=False
    )
    return figure


def _has_own(line: _Line) -> bool:
    """Whether a run has logged anything that is drawn with this line."""
    return any(name.startswith("val_") == bool(line.prefix) for name in line.logs)


def information_figure(history, num_classes: int | None = None) -> Figure:
    """Draw I(y; x) and H(q(y|x)) over the epochs, to see what a bound does to them (MIER).

    They are those of a batch of unlabelled examples, averaged over the epoch; I(y; x) of a batch
    of n falls short of that of all data by up to about (K - 1) / (2 n) nats.

    Args:
        history: as for `history_figure`: of one run, or label -> that of each run.
        num_classes: K, for a line at log K, the most that either can be.

    Raises:
        InputError: no history has one of the two: the method has no classifier.
    """
    lines = _lines(history)
    found = [name for name in INFORMATION if name in _quantities(lines)]
    if not found:
        raise InputError(
            f"the history has neither {' nor '.join(INFORMATION)}: the method has no classifier."
        )
    figure = Figure(figsize=(4 * len(found), 3.2), dpi=100, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        if num_classes is not None:
            axes.axhline(np.log(num_classes), color="gray", linestyle=":", linewidth=1)
            axes.annotate(
                "log K",
                (1, np.log(num_classes)),
                (-2, -3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=8,
                color="gray",
            )
        _draw_quantity(axes, name, lines)
        axes.set_title(_TITLES[name], fontsize=10)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    _add_legend(figure, lines, found)
    return figure


def logged_quantities(history) -> list[str]:
    """Return the names that a history has, the loss first and monitors last, without "val_".

    Args:
        history: as for `history_figure`.
    """
    return _quantities(_lines(history))


def _lines(history) -> list[_Line]:
    """Return every kind of line: colours tell training and validation, or the runs, apart."""
    history = getattr(history, "history", history)
    groups = {label: _logs_of(value) for label, value in history.items()}
    if not any(groups.values()):
        return [
            _Line(history, "", "training", "C0", "-"),
            _Line(history, "val_", "validation", "C1", "--"),
        ]
    kinds = []
    for index, (label, group) in enumerate(groups.items()):
        colour = f"C{index % 10}"
        kinds += [_Line(logs, "", label, colour, "-") for logs in group]
        kinds += [_Line(logs, "val_", f"{label}, validation", colour, "--") for logs in group]
    return kinds


def _logs_of(value) -> list[Logs]:
    """Return the logs of the runs that a label stands for; of a list of numbers, none."""
    several = value if isinstance(value, list | tuple) else [value]
    logs = [getattr(one, "history", one) for one in several]
    return [one for one in logs if isinstance(one, Mapping)]


def _quantities(lines: Sequence[_Line]) -> list[str]:
    names = {name.removeprefix("val_"): None for line in lines for name in line.logs}
    position = {name: index for index, name in enumerate(names)}

    def reading_order(name: str):
        return (name != "loss", name.startswith("monitor/"), "accuracy" not in name, position[name])

    return sorted(names, key=reading_order)


def _draw_quantity(axes, name: str, lines: Sequence[_Line]) -> None:
    epochs = 1
    for line in lines:
        values = line.logs.get(line.prefix + name)
        if values is not None:
            epochs = max(epochs, len(values))
            marker = "o" if len(values) < 3 else None  # a line of one point cannot be seen
            axes.plot(
                range(1, len(values) + 1),
                values,
                line.style,
                color=line.colour,
                marker=marker,
                label=line.label,
            )
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel(_unit(name), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.set_xlim(0.5, epochs + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    low, high = axes.get_ylim()
    if high - low < 1e-3 * abs(high):  # a constant: no axis that magnifies rounding errors
        axes.set_ylim(low - 0.05 * abs(low), high + 0.05 * abs(high))


def _add_legend(figure: Figure, lines: Sequence[_Line], names: Sequence[str]) -> None:
    found = [line for line in lines if any(line.prefix + name in line.logs for name in names)]
    drawn = list({line.label: line for line in found}.values())
    if [line.label for line in drawn] == ["training"]:
        return  # nothing to tell apart
    handles = [Line2D([], [], color=line.colour, linestyle=line.style) for line in drawn]
    labels = [line.label for line in drawn]
    # Long names would not fit side by side.
    columns = 2 if max(map(len, labels)) <= _LONGEST_BESIDE else 1
    size = 9 if len(names) > 1 else 8
    plain_legend(figure, handles, labels, loc="outside upper center", ncols=columns, fontsize=size)


def _unit(name: str) -> str:
    """Return the unit of a logged quantity, or nothing where its name does not tell."""
    if "accuracy" in name:
        return "fraction"
    quantity = name.removeprefix("monitor/")
    in_nats = quantity in _IN_NATS or quantity.startswith(_NATS_BEGIN)
    return "nats" if in_nats else ""
