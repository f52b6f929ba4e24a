"""Maps of high-dimensional points: t-SNE, coloured by class (MIER, figure 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_labels, check_same_length
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.style import plain_legend

MOST_POINTS = 2000
"""What a map can show, and what t-SNE does in seconds."""

_PERPLEXITY = 30.0  # of van der Maaten and Hinton's range of 5 to 50
_NAMES_PER_COLUMN = 22


def choose_rows(number: int, most: int = MOST_POINTS, seed: int = 0) -> NDArray[np.int64]:
    """Return at most `most` of the rows 0..number-1, sorted; the same for the same seed.

    >>> choose_rows(3, most=5)
    array([0, 1, 2])
    """
    if number <= most:
        return np.arange(number)
    return np.sort(np.random.default_rng(seed).choice(number, most, replace=False))


def tsne(features: ArrayLike, seed: int = 0) -> NDArray[np.float32]:
    """Lay points out in the plane so that neighbours stay neighbours (van der Maaten, 2008).

    Distances between far points, and the size of a group, mean nothing.

    Args:
        features: (n, h) numbers, n from 3 to 2000 (see `choose_rows`).
        seed: the same features and seed give the same map.

    Returns:
        (n, 2) float32.

    Raises:
        InputError: features are not as described, or all rows are alike.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    values = np.asarray(features, np.float32)
    if values.ndim != 2 or not 3 <= len(values) <= MOST_POINTS or not np.isfinite(values).all():
        raise InputError(
            f"features must be finite numbers (n, h) of 3 to {MOST_POINTS} rows, got "
            f"{values.shape}: choose_rows picks some."
        )
    if np.ptp(values, axis=0).max() == 0:
        raise InputError("features are alike in every row: there is nothing to lay out.")
    perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
    # The first two principal components, where there are two, make the layout a stable one.
    start = "pca" if values.shape[1] > 1 else "random"
    layout = TSNE(init=start, perplexity=perplexity, random_state=seed)
    # Its threads spin while they wait for each other: on a busy machine four took minutes for
    # what one did in four seconds.
    with threadpool_limits(1):
        return layout.fit_transform(values).astype(np.float32)


def embedding_figure(
    points: ArrayLike, labels: ArrayLike, class_names: Sequence[str], title: str = ""
) -> Figure:
    """Draw points of the plane in the colours of their classes, with a legend.

    Args:
        points: (n, 2), such as those of `tsne`.
        labels: (n,) true classes 0..K-1; -1, where there is none, is grey.
        class_names: K names.
        title: above the picture.

    Raises:
        InputError: the three do not fit each other.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"points must have shape (n, 2), got {points.shape}.")
    labels = check_labels(labels, len(class_names), "labels")
    check_same_length(points, labels, ("points", "labels"))
    check_class_names(class_names, len(class_names))
    width = 5.2 + 1.5 * legend_columns(len(class_names))
    figure = Figure(figsize=(width, 4.6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    scatter_classes(axes, points, labels, len(class_names))
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.set_adjustable("datalim")
    axes.set_title(title, fontsize=11, parse_math=False)
    class_legend(figure, labels, class_names)
    return figure


def scatter_classes(axes, points: NDArray[Any], labels: NDArray[Any], num_classes: int) -> None:
    """Draw points (n, 2) in the colours of their labels (n,), -1 in grey."""
    colours = [*class_colours(num_classes), "gray"]  # the last is that of -1
    # In the order of the rows: no class lies on top of all others.
    axes.scatter(
        points[:, 0], points[:, 1], s=9, c=[colours[label] for label in labels], linewidths=0
    )


def legend_columns(num_classes: int) -> int:
    """Return how many columns the legend of so many classes has."""
    return -(-num_classes // _NAMES_PER_COLUMN)


def class_legend(figure: Figure, labels: NDArray[Any], class_names: Sequence[str]) -> None:
    """Name the colours of the classes to the right of a figure, and grey where labels have -1."""
    colours = [*class_colours(len(class_names)), "gray"]
    names = [*map(short_name, class_names), "no label"]
    # A class without a point keeps its place in the legend; "no label" is there when needed.
    shown = range(len(names) if (labels < 0).any() else len(class_names))
    plain_legend(
        figure,
        [Line2D([], [], color=colours[k], marker="o", linestyle="") for k in shown],
        [names[k] for k in shown],
        loc="outside right upper",
        ncols=legend_columns(len(class_names)),
        fontsize=8,
        frameon=False,
    )


def class_colours(number: int) -> list:
    """Return a colour for each class."""
    if number <= 10:
        return [f"C{k}" for k in range(number)]
    if number <= 20:
        return list(colormaps["tab20"](np.arange(number)))
    return list(colormaps["hsv"](np.linspace(0, 1, number, endpoint=False)))
