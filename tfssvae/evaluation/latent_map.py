"""A map of a latent space: codes of examples over draws from the prior, as a plane or by PCA."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images, check_labels, check_same_length
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.codes import principal_components, top_codes
from tfssvae.evaluation.embedding import class_colours, legend_columns, scatter_classes
from tfssvae.evaluation.style import on_dark, plain_legend
from tfssvae.noise import Noise


def prior_codes(model, number: int = 1000, seed: int = 0) -> NDArray[np.float32] | None:
    """Return draws from the prior of the code that `top_codes` gives: (number, d).

    Args:
        model: any method. In M1+M2 the prior of z1 is that of the upper model, p(z1|y, z2); of a
            code with a place for each class the classes are drawn too.
        number: of draws.
        seed: of the draws.

    Returns:
        The draws; d may be less than the length of the code, of which it is then the first part.
        None where the method has no prior.
    """
    noise = Noise(seed, 0)
    if hasattr(model, "prior_z") and hasattr(model, "flow"):
        return model.flow.forward(model.prior_z(noise, number)).numpy()
    if hasattr(model, "style_prior") and hasattr(model, "code"):
        y = tf.one_hot(_classes(model, number, seed), model.num_classes)
        p_z1 = model.code(y, model.style_prior.distribution().sample(number, seed=[seed, 1]))
        return p_z1.sample(seed=[seed, 2]).numpy()
    prior = getattr(model, "prior", None)
    if prior is None:
        return None
    if hasattr(model, "components"):
        labels = _classes(model, number, seed)
        normal = np.random.default_rng(seed).normal(size=(number, model.latent_dim))
        draws = prior.mean[labels] + np.sqrt(prior.variance[labels]) * normal
        return draws.astype("float32")
    return prior.distribution().sample(number, seed=[seed, 1]).numpy()


def _classes(model, number: int, seed: int) -> NDArray[np.int64]:
    probs = np.exp(np.asarray(model.log_class_prior(), "float64"))
    return np.random.default_rng([seed, 1]).choice(len(probs), number, p=probs / probs.sum())


def codes_over_prior(
    model, x: ArrayLike, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the posterior means of the (top) code of examples, and draws from its prior.

    Args:
        model: any method.
        x: (n, *input_shape) uint8, or float in [0, 1].
        seed: of the draws.

    Returns:
        (n, d) codes and (1000, d) draws, or None for these.

    Raises:
        InputError: x does not fit the model.
    """
    codes = top_codes(model, check_images(x, shape=model.example_shape))
    prior = prior_codes(model, seed=seed)
    return (codes if prior is None else codes[:, : prior.shape[1]]), prior


def latent_map_figure(
    codes: ArrayLike,
    prior: ArrayLike | None,
    labels: ArrayLike,
    class_names: Sequence[str],
) -> Figure:
    """Draw codes in the colours of their classes over grey draws from the prior.

    Of more than two dimensions the first two principal components of the codes are drawn, those of
    the draws along the same axes.

    Args:
        codes: (n, d) posterior means, d at least 2 and n at least 2.
        prior: (m, d) draws from the prior, or None.
        labels: (n,) classes 0..K-1; -1, where there is none, is grey.
        class_names: K names.

    Raises:
        InputError: the parts do not fit each other.
    """
    check_class_names(class_names, len(class_names))
    found = check_labels(labels, len(class_names), "labels")
    values = np.asarray(codes, "float64")
    if values.ndim != 2 or values.shape[1] < 2:
        raise InputError(f"codes must have shape (n, d) with d at least 2, got {values.shape}.")
    check_same_length(values, found, ("codes", "labels"))
    width = 4.9 + 1.4 * legend_columns(len(class_names))
    figure = Figure(figsize=(width, 4.7), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    points, drawn = values, None if prior is None else np.asarray(prior, "float64")
    names = ["first dimension", "second dimension"]
    title = "the plane of the code"
    if values.shape[1] > 2:
        parts = principal_components(values)
        points = parts.project(values)
        drawn = None if drawn is None else parts.project(drawn)
        names = [f"component {k}: {share:.0%}" for k, share in enumerate(parts.share, 1)]
        title = "principal components (PCA)"
    if drawn is not None:
        axes.scatter(drawn[:, 0], drawn[:, 1], s=5, color=_prior_grey(), linewidths=0)
    scatter_classes(axes, points[:, :2], found, len(class_names))
    axes.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    axes.set_adjustable("datalim")
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    _legend(figure, found, class_names, drawn is not None)
    return figure


def _prior_grey() -> str:
    """Return a grey near the ground, which no class has."""
    return "#6e7681" if on_dark() else "#afb8c1"


def _legend(figure: Figure, labels, class_names: Sequence[str], with_prior: bool) -> None:
    names = [short_name(name) for name in class_names]
    colours: list = list(class_colours(len(names)))
    if (labels < 0).any():
        names, colours = [*names, "no label"], [*colours, "gray"]
    if with_prior:
        names, colours = [*names, "prior"], [*colours, _prior_grey()]
    plain_legend(
        figure,
        [Line2D([], [], color=colour, marker="o", linestyle="") for colour in colours],
        names,
        loc="outside right upper",
        ncols=legend_columns(len(class_names)),
        fontsize=8,
        frameon=False,
    )
