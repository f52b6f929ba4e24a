"""Charts of predictions and of training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tfssvae.checks import InputError
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.classification import confidence_bins

_MOST_COUNTED = 20  # classes: beyond that the counts in the cells cannot be read
_PANELS_PER_ROW = 4
_IN_NATS = ("loss", "classification", "entropy", "mutual_information")
_LINES = (
    ("", "training", "-", "tab:blue"),
    ("val_", "validation", "--", "tab:orange"),
)


def confusion_figure(matrix: ArrayLike, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: each row's colours are fractions of the true class.

    Args:
        matrix: (K, K) counts, rows are true classes (see `confusion_matrix`); up to 20 classes the
            counts are written into the cells.
        class_names: K names.

    Raises:
        InputError: the matrix is not square and non-negative, or the names do not fit it.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise InputError(f"matrix must be (K, K) counts, got shape {counts.shape}.")
    check_class_names(class_names, len(counts))
    names = [short_name(name) for name in class_names]
    few = len(names) <= _MOST_COUNTED
    side = max(4.0, (0.38 if few else 0.16) * len(names) + 1.8)
    figure = Figure(figsize=(side + 0.8, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # The square root lets single confusions be seen beside a full diagonal.
    image = axes.imshow(fractions, norm=PowerNorm(0.5, 0, 1), cmap="Blues")
    figure.colorbar(image, ax=axes, shrink=0.8, label="fraction of the true class")
    size = 9 if few else 7
    ticks = range(len(names))
    turned = 90 if not few or max(map(len, names)) > 2 else 0
    axes.set_xticks(ticks, names, rotation=turned, fontsize=size, parse_math=False)
    axes.set_yticks(ticks, names, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    total, correct = counts.sum(), counts.trace()
    axes.set_title(f"Confusion matrix: {correct:,} of {total:,} correct", fontsize=11)
    if few:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if fractions[row, column] > 0.35 else "black"
            text = f"{counts[row, column]:d}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return figure


def calibration_figure(probs, labels, bins: int = 15) -> Figure:
    """Draw a reliability diagram with the calibration error, above a histogram of confidence.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; -1 where there is none.
        bins: number of bins of equal width.

    Raises:
        InputError: see `expected_calibration_error`.
    """
    count, correct, confidence = (
        part.numpy().astype("float64") for part in confidence_bins(probs, labels, bins)
    )
    error = np.abs(correct - confidence).sum() / count.sum()
    used = count > 0
    accuracy, sure = correct[used] / count[used], confidence[used] / count[used]
    left, width = np.linspace(0, 1, bins + 1)[:-1][used], 1 / bins
    figure = Figure(figsize=(5.5, 6), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    top.bar(left, accuracy, width, align="edge", edgecolor="white", label="accuracy")
    top.bar(
        left,
        sure - accuracy,
        width,
        bottom=accuracy,
        align="edge",
        color="none",
        edgecolor="tab:red",
        hatch="///",
        label="gap to the mean confidence",
    )
    top.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="calibrated")
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy (fraction correct)")
    top.set_title(
        f"Expected calibration error {error:.3f} ({int(count.sum()):,} rows, {bins} bins)",
        fontsize=10,
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    bottom.bar(left, count[used] / count.sum(), width, align="edge", edgecolor="white")
    bottom.set(xlabel="confidence (probability of the predicted class)", ylabel="fraction\nof rows")
    return figure


def history_figure(history) -> Figure:
    """Draw every logged quantity over the epochs, training and validation together.

    The terms of the loss are logged weighted, so that their values add up to the loss.

    Args:
        history: what `fit` and `train` return, or its dict of name -> one value per epoch.

    Raises:
        InputError: the history is empty.
    """
    logs: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    names = sorted({name.removeprefix("val_") for name in logs}, key=_reading_order(logs))
    if not names:
        raise InputError("the history is empty: train for at least one epoch.")
    columns = min(len(names), _PANELS_PER_ROW)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(max(4, 3 * columns), 2 * rows + 0.6), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _draw_quantity(axes, name, logs)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    lines = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=2, fontsize=9)
    return figure


def _draw_quantity(axes, name: str, logs: Mapping[str, Sequence[float]]) -> None:
    for prefix, label, style, colour in _LINES:
        values = logs.get(prefix + name)
        if values is not None:
            epochs = range(1, len(values) + 1)
            marker = "o" if len(values) < 3 else None  # a line of one point cannot be seen
            axes.plot(epochs, values, style, color=colour, marker=marker, label=label)
    axes.set_title(name, fontsize=9)
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel(_unit(name), fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_xlim(0.5, max(map(len, logs.values())) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    low, high = axes.get_ylim()
    if high - low < 1e-3 * abs(high):  # a constant: no axis that magnifies rounding errors
        axes.set_ylim(low - 0.05 * abs(low), high + 0.05 * abs(high))


def _unit(name: str) -> str:
    """Return the unit of a logged quantity, or nothing where its name does not tell."""
    if "accuracy" in name:
        return "fraction"
    quantity = name.removeprefix("monitor/")
    in_nats = quantity in _IN_NATS or quantity.startswith(("labelled_", "unlabelled_"))
    return "nats" if in_nats else ""


def _reading_order(logs):
    """Return a sort key: the loss, then metrics and terms as logged, then monitors."""
    position = {name.removeprefix("val_"): index for index, name in enumerate(logs)}

    def key(name: str):
        return (name != "loss", name.startswith("monitor/"), "accuracy" not in name, position[name])

    return key
