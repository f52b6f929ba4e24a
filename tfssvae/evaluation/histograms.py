"""Histograms over the examples of a data part."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_labels, check_probabilities, check_same_length
from tfssvae.evaluation.information import class_entropy
from tfssvae.evaluation.style import ink

_BINS = 40


def entropy_figure(probs, labels: ArrayLike | None = None) -> Figure:
    """Draw a histogram of H(q(y|x)) over the examples, right and wrong ones apart.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1, -1 where there is none; None: no labels.

    Raises:
        InputError: probs are not probabilities, or labels do not fit them.
    """
    probs = check_probabilities(probs)
    entropy = class_entropy(probs).numpy()
    most = np.log(probs.shape[1])
    figure = Figure(figsize=(5.5, 3.8), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(0, most, _BINS + 1).tolist()
    for name, rows, style in _outcomes(probs, labels):
        if rows.any():
            # Rounding may take an entropy a little past log K.
            values = entropy[rows].clip(0, most)
            axes.hist(values, edges, label=f"{name} ({rows.sum():,})", **style)
    # Most examples are in the first bin: a linear axis would show nothing else.
    axes.set_yscale("log")
    axes.set(
        xlim=(0, most),
        ylim=(0.5, None),
        xlabel="entropy H(q(y|x)) of an example, nats (at most log K)",
        ylabel="examples",
    )
    _mark_mean(axes, entropy)
    axes.legend(fontsize=8)
    return figure


def bound_figure(bounds: ArrayLike) -> Figure:
    """Draw a histogram of the bound over the examples, with their mean and standard deviation.

    Args:
        bounds: (n,) nats, see `unlabelled_bound`.

    Raises:
        InputError: bounds are not finite numbers (n,), or there are none.
    """
    values = np.asarray(bounds, "float64")
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InputError(f"bounds must be finite numbers (n,), got shape {values.shape}.")
    figure = Figure(figsize=(5.5, 3.8), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.hist(values, _BINS)
    axes.set(xlabel="bound on log p(x) of an example, nats", ylabel="examples")
    _mark_mean(axes, values)
    spread = values.std()
    axes.axvspan(values.mean() - spread, values.mean() + spread, color="gray", alpha=0.2, zorder=0)
    axes.plot([], [], color="gray", alpha=0.4, linewidth=8, label=f"± {spread:.4g} (deviation)")
    axes.legend(fontsize=8)
    return figure


def _outcomes(probs, labels) -> list[tuple[str, NDArray[np.bool_], dict]]:
    """Return name, rows and style of each group of examples."""
    filled = {"histtype": "stepfilled", "color": "C0", "alpha": 0.6}
    if labels is None:
        return [("examples", np.ones(len(probs), bool), filled)]
    labels = check_labels(labels, probs.shape[1], "labels")
    check_same_length(probs, labels, ("probs", "labels"))
    right = probs.argmax(axis=1) == labels
    return [
        ("right", right, filled),
        ("wrong", ~right & (labels >= 0), {"histtype": "step", "color": "C3", "linewidth": 1.5}),
        ("no label", labels < 0, {"histtype": "step", "color": "gray"}),
    ]


def _mark_mean(axes, values) -> None:
    mean = float(np.mean(values))
    axes.axvline(mean, color=ink(), linestyle="--", linewidth=1, label=f"mean {mean:.4g} nats")
