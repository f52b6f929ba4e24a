"""Charts of predictions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tfssvae.checks import InputError
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.classification import confidence_bins
from tfssvae.evaluation.style import ink, luminance, on_dark

FEW_ROWS = 10
"""Examples in a bar of a reliability diagram; of fewer, the bar is pale."""

_PALE = 0.3
_MOST_COUNTED = 20  # classes: beyond that the counts in the cells cannot be read


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
    colours = "Blues_r" if on_dark() else "Blues"
    image = axes.imshow(fractions, norm=PowerNorm(0.5, 0, 1), cmap=colours)
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
            cell = image.cmap(image.norm(fractions[row, column]))
            colour = "black" if luminance(cell[:3]) > 0.5 else "white"
            text = f"{counts[row, column]:d}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return figure


def calibration_figure(probs, labels, bins: int = 15) -> Figure:
    """Draw a reliability diagram with the calibration error, above a histogram of confidence.

    Bars of fewer than `FEW_ROWS` examples are pale.

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
    ground = figure.get_facecolor()
    bars = top.bar(left, accuracy, width, align="edge", edgecolor=ground, label="accuracy")
    gaps = top.bar(
        left,
        sure - accuracy,
        width,
        bottom=accuracy,
        align="edge",
        color="none",
        edgecolor="C3",
        hatch="///",
        label="gap to the mean confidence",
    )
    top.plot([0, 1], [0, 1], color=ink(), linestyle="--", linewidth=1, label="calibrated")
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy (fraction correct)")
    top.set_title(
        f"Expected calibration error {error:.3f} ({int(count.sum()):,} rows, {bins} bins)",
        fontsize=10,
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)  # before bars become pale
    for number, bar, gap in zip(count[used], bars, gaps, strict=True):
        if number < FEW_ROWS:
            bar.set_alpha(_PALE)
            gap.set_alpha(_PALE)
    bottom.bar(left, count[used] / count.sum(), width, align="edge", edgecolor=ground)
    bottom.set(xlabel="confidence (probability of the predicted class)", ylabel="fraction\nof rows")
    return figure
