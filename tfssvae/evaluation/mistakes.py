"""The examples that a classifier is most sure of and wrong about."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_labels, check_probabilities, check_same_length
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.figures import resized_to_fit
from tfssvae.evaluation.images import as_pictures

_COLUMNS = 8
_CELL, _GAP, _TEXT, _SIDE = 112, 18, 36, 10  # pixels: of an image, between two, below it, around
_DPI = 100
_LONGEST = 9  # characters of a class name below an image


class Mistake(NamedTuple):
    """A wrong prediction: the row of the example, its class, the predicted one and its q(y|x)."""

    row: int
    true: int
    predicted: int
    confidence: float


def worst_mistakes(probs, labels: ArrayLike, most: int = 24) -> list[Mistake]:
    """Return the wrong predictions, the surest first.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; rows of -1, whose class nobody knows, are left out.
        most: how many at most.

    Raises:
        InputError: probs are not probabilities, or labels do not fit them.

    >>> worst_mistakes([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], [1, 0, 0])[0]
    Mistake(row=1, true=0, predicted=1, confidence=0.75)
    """
    probs = check_probabilities(np.asarray(probs))
    labels = check_labels(np.asarray(labels), probs.shape[1], "labels")
    check_same_length(probs, labels, ("probs", "labels"))
    predicted, confidence = probs.argmax(axis=1), probs.max(axis=1)
    wrong = np.flatnonzero((labels >= 0) & (predicted != labels))
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        Mistake(int(row), int(labels[row]), int(predicted[row]), float(confidence[row]))
        for row in wrong
    ]


def mistakes_figure(
    x: ArrayLike, mistakes: Sequence[Mistake], class_names: Sequence[str]
) -> Figure:
    """Draw wrongly classified examples; below each its class, the predicted one and q(y|x).

    Args:
        x: (n, h, w, c) examples.
        mistakes: at least one (see `worst_mistakes`).
        class_names: K names.

    Raises:
        InputError: there is no mistake, or x cannot be shown.
    """
    if not mistakes:
        raise InputError("there is no mistake to draw")
    check_class_names(class_names, len(class_names))
    pictures = as_pictures(np.asarray(x)[[mistake.row for mistake in mistakes]])
    pictures = resized_to_fit(pictures, _CELL, _CELL)
    high, wide = pictures.shape[1:3]
    columns = min(len(mistakes), _COLUMNS)
    across, down = max(_CELL, wide) + _GAP, high + _TEXT + _GAP
    width = columns * across + 2 * _SIDE
    height = -(-len(mistakes) // columns) * down + _SIDE
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    for place, (picture, mistake) in enumerate(zip(pictures, mistakes, strict=True)):
        line, column = divmod(place, columns)
        left, top = _SIDE + column * across + (across - wide) // 2, _SIDE + line * down
        box = (left / width, 1 - (top + high) / height, wide / width, high / height)
        axes = figure.add_axes(box)
        axes.imshow(np.broadcast_to(picture, (high, wide, 3)), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("gray")
        _name(figure, axes, mistake, class_names)
    return figure


def _name(figure: Figure, axes, mistake: Mistake, class_names: Sequence[str]) -> None:
    true, predicted = (_shorter(class_names[k]) for k in (mistake.true, mistake.predicted))
    for below, text, weight in (
        (3, f"is {true}", "normal"),
        (17, f"said {predicted}, {_percent(mistake.confidence)}", "bold"),
    ):
        axes.annotate(
            text,
            (0.5, 0),
            (0, -below * 72 / _DPI),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            fontweight=weight,
            parse_math=False,
        )


def _shorter(name: str) -> str:
    name = short_name(name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _percent(confidence: float) -> str:
    """Return a probability as people write it; only what is 1 in float32 is 100%."""
    return f"{confidence:.0%}" if confidence < 0.995 or confidence == 1 else f"{confidence:.2%}"
