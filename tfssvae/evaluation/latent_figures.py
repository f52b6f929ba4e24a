"""Pictures of a latent space that has a place for each class, and of what its units do (EXoN)."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images, check_labels, check_same_length
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.embedding import class_colours
from tfssvae.evaluation.figures import Panel, picture_figure
from tfssvae.evaluation.images import as_pictures, image_grid
from tfssvae.evaluation.latent import (
    check_mixture,
    decode_codes,
    latent_grid,
    posterior_components,
    prior_extent,
    v_nat_correlation,
)
from tfssvae.evaluation.model_names import model_name
from tfssvae.evaluation.style import ink, plain_legend


def likely_codes(model, x: ArrayLike) -> NDArray[np.float32]:
    """Return the mean of z under each image's most likely class: (n, d)."""
    found = posterior_components(model, x)
    return found.mean[np.arange(len(found.mean)), found.probs.argmax(axis=1)]


def prior_figure(prior, class_names: Sequence[str]) -> Figure:
    """Draw a designed prior before any training: one and two standard deviations of each class.

    Args:
        prior: a `layers.GaussianMixturePrior` in two dimensions or more, of which the first two
            are drawn.
        class_names: K names.

    Raises:
        InputError: the prior is a line, or the names do not fit it.
    """
    figure, axes = _plane(prior, class_names)
    worst = prior.overlap()[~np.eye(prior.num_components, dtype=bool)].max(initial=0.0)
    axes.set_title(f"Prior; largest overlap of two classes {worst:.2g}", fontsize=11)
    return figure


def latent_scatter_figure(
    model, x: ArrayLike, y: ArrayLike, class_names: Sequence[str], seed: int = 0
) -> Figure:
    """Draw a sample of q(z|x) of each image over the prior (EXoN, figure 2, top).

    Args:
        model: an `EXoN`; of more than two dimensions the first two are drawn.
        x: (n, *input_shape) images.
        y: (n,) true classes; -1, where there is none, is grey.
        class_names: K names.
        seed: of the samples.

    Raises:
        InputError: the parts do not fit each other.
    """
    check_mixture(model)
    figure, axes = _plane(model.prior, class_names)
    draw_codes(axes, model, x, y, seed)
    axes.set_title(f"{model_name(model)}: codes over the prior", fontsize=11)
    return figure


def latent_grid_figure(model, size: int = 21, extent: Sequence[float] | None = None) -> Figure:
    """Draw the images of equally spaced points of the latent plane (EXoN, figure 2, bottom).

    Args:
        model: an `EXoN` with two latent dimensions.
        size: images along each side.
        extent: (left, right, bottom, top); None: all components within three standard deviations.
    """
    check_mixture(model)
    left, right, bottom, top = prior_extent(model.prior) if extent is None else extent
    extent = (left, right, bottom, top)
    picture = image_grid(latent_grid(model, size, extent)[1], size)
    figure = Figure(figsize=(7, 7), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    rgb = np.broadcast_to(picture, (*picture.shape[:2], 3))
    axes.imshow(rgb, extent=extent, interpolation="nearest", aspect="auto")
    axes.set(xlabel="first latent dimension", ylabel="second latent dimension")
    axes.set_title(f"{model_name(model)}: images of the latent plane", fontsize=11)
    return figure


def unit_figure(
    model, image: ArrayLike, units: Sequence[int], low: float = -3.0, high: float = 3.0
) -> Figure:
    """Draw what single units do: a row per unit, which goes from low to high (EXoN, figure 9).

    Args:
        model: an `EXoN`.
        image: (*input_shape) whose code the other units keep.
        units: indices, at least one, such as the first five of `activated_units`.
        low: value of the unit on the left.
        high: value on the right.
    """
    code, steps, chosen = code_of(model, image), 9, _checked_units(model, units)
    if not len(chosen):
        raise InputError("units must name at least one unit: none is activated?")
    codes = np.tile(code, (len(chosen), steps, 1))
    for row, unit in enumerate(chosen):
        codes[row, :, unit] = np.linspace(low, high, steps)
    images = decode_codes(model, codes.reshape(-1, model.latent_dim))
    panel = Panel(as_pictures(images), steps, [f"unit {unit}" for unit in chosen])
    title = f"{model_name(model)}: one unit at a time"
    return picture_figure([panel], title, f"from {low:g} to {high:g}")


def subspace_figure(
    model, image: ArrayLike, units: Sequence[int], scale: float = 2.0, seed: int = 0
) -> Figure:
    """Draw the image of a code, and with noise on some units or on all others (EXoN, figure 5).

    Noise on an activated subspace changes the image; noise on its complement does not.

    Args:
        model: an `EXoN`.
        image: (*input_shape).
        units: indices of the activated units, possibly none (see `activated_units`).
        scale: the noise is uniform in (-scale, scale).
        seed: of the noise.
    """
    code, columns = code_of(model, image), 8
    chosen = np.zeros(model.latent_dim)
    chosen[_checked_units(model, units)] = 1
    count = int(chosen.sum())
    noise = np.random.default_rng(seed).uniform(-scale, scale, (columns, model.latent_dim))
    codes = np.concatenate([np.tile(code, (columns, 1)), code + noise * chosen])
    codes = np.concatenate([codes, code + noise * (1 - chosen)])
    names = ["unchanged", f"{count} units", f"{model.latent_dim - count} others"]
    panel = Panel(as_pictures(decode_codes(model, codes)), columns, names)
    title = f"{model_name(model)}: noise on a latent subspace"
    return picture_figure([panel], title, f"uniform noise in ({-scale:g}, {scale:g})")


def v_nat_figure(v_nats: ArrayLike, class_names: Sequence[str], delta: float = 1.0) -> Figure:
    """Draw the V-nat of every unit, a line per class, and the threshold (EXoN, figures 5 and 7).

    Args:
        v_nats: (K, d) nats (see `class_v_nat`).
        class_names: K names.
        delta: above which a unit is activated.
    """
    values = np.asarray(v_nats, "float64")
    check_class_names(class_names, len(values))
    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    lines = [
        axes.plot(row, color=colour, linewidth=0.8, marker=".", markersize=3)[0]
        for row, colour in zip(values, class_colours(len(values)), strict=True)
    ]
    axes.axhline(delta, color=ink(), linestyle="--", linewidth=1)
    axes.set_xlim(-0.5, values.shape[1] - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="unit", ylabel="V-nat (nats)", title="How exactly images decide each unit")
    names = [
        f"{short_name(name)}: {(row > delta).sum()}"
        for name, row in zip(class_names, values, strict=True)
    ]
    plain_legend(
        figure,
        lines,
        names,
        title=f"units above {delta:g} nat\nof each class",
        title_fontsize=8,
        alignment="left",
        loc="outside right upper",
        fontsize=8,
        frameon=False,
    )
    return figure


def v_nat_correlation_figure(v_nats: ArrayLike, class_names: Sequence[str]) -> Figure:
    """Draw the correlation of V-nat over units between classes (EXoN, figure 8).

    A class whose units are all alike has none, and is grey.

    Args:
        v_nats: (K, d) nats (see `class_v_nat`), d at least 2.
        class_names: K names.

    Raises:
        InputError: v_nats are not as described, or the names do not fit them.
    """
    matrix = v_nat_correlation(v_nats)
    check_class_names(class_names, len(matrix))
    side = max(4.0, 0.4 * len(matrix) + 1.8)
    figure = Figure(figsize=(side + 0.8, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        matrix, vmin=-1, vmax=1, cmap=colormaps["coolwarm"].with_extremes(bad="gray")
    )
    figure.colorbar(image, ax=axes, shrink=0.8, label="correlation")
    names = [short_name(name) for name in class_names]
    axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_title("Correlation of V-nat between classes", fontsize=11)
    return figure


def code_of(model, end) -> NDArray[np.float64]:
    """Return the code of an image, or the centre of a class."""
    check_mixture(model)
    if np.ndim(end) == 0:
        (label,) = check_labels([end], model.num_classes, "class", allow_unlabelled=False)
        return model.prior.mean[label].astype("float64")
    image = check_images(np.asanyarray(end)[None], shape=model.example_shape)
    return likely_codes(model, image)[0].astype("float64")


def _checked_units(model, units: Sequence[int]) -> NDArray[np.int64]:
    found = np.asarray(units)
    if found.shape == (0,):
        return np.zeros(0, "int64")
    whole = found.ndim == 1 and found.dtype.kind in "iu"
    if not whole or found.min() < 0 or found.max() >= model.latent_dim:
        raise InputError(
            f"units must be whole numbers in 0..{model.latent_dim - 1}, got {units!r:.100} (of a "
            "mask, take np.flatnonzero)"
        )
    return found.astype("int64")


def draw_codes(axes, model, x: ArrayLike, y: ArrayLike, seed: int = 0) -> None:
    """Draw a sample of q(z|x) of each image into axes, in the colours of the true classes.

    Raises:
        InputError: the parts do not fit each other.
    """
    y = check_labels(y, model.num_classes)
    found = posterior_components(model, x)
    check_same_length(found.probs, y)
    rng = np.random.default_rng(seed)
    # The class of a sample: where a uniform number falls among the cumulated probabilities.
    k = (rng.uniform(size=(len(y), 1)) > np.cumsum(found.probs, axis=1)[:, :-1]).sum(axis=1)
    mean, variance = (part[np.arange(len(y)), k] for part in (found.mean, found.variance))
    codes = mean + np.sqrt(variance) * rng.normal(size=mean.shape)
    colours = [*class_colours(model.num_classes), "gray"]
    axes.scatter(codes[:, 0], codes[:, 1], s=6, c=[colours[label] for label in y], linewidths=0)


def draw_prior(axes, prior) -> None:
    """Draw one and two standard deviations of a prior's components into axes.

    Raises:
        InputError: the prior is a line.
    """
    for k, colour in enumerate(class_colours(prior.num_components)):
        width, height = 2 * np.sqrt(prior.variance[k, :2])
        for deviations in (1, 2):
            axes.add_patch(
                Ellipse(
                    prior.mean[k, :2],
                    deviations * width,
                    deviations * height,
                    facecolor=colour,
                    alpha=0.12,
                    zorder=0,
                )
            )
    left, right, bottom, top = prior_extent(prior)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set(xlabel="first latent dimension", ylabel="second latent dimension")


def class_legend(figure: Figure, class_names: Sequence[str]) -> None:
    """Add the colours of the classes to the right of a figure."""
    colours = class_colours(len(class_names))
    marks = [Line2D([], [], color=colour, marker="o", linestyle="") for colour in colours]
    names = [short_name(name) for name in class_names]
    plain_legend(figure, marks, names, loc="outside right upper", fontsize=8, frameon=False)


def _plane(prior, class_names: Sequence[str]):
    """Return a figure of the first two dimensions with the prior's components, and its axes."""
    check_class_names(class_names, prior.num_components)
    left, right, bottom, top = prior_extent(prior)
    height = 0.8 + 4.9 * min(1.2, max(0.4, (top - bottom) / (right - left)))
    figure = Figure(figsize=(6.4, height), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    draw_prior(axes, prior)
    class_legend(figure, class_names)
    return figure, axes
