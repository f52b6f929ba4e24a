"""Pictures of paths through a latent space with a place for each class (EXoN, figures 3, 4, 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError
from tfssvae.evaluation.class_names import check_class_names
from tfssvae.evaluation.figures import Panel, picture_figure
from tfssvae.evaluation.images import as_pictures, image_grid
from tfssvae.evaluation.latent import check_codes, check_mixture, decode_codes
from tfssvae.evaluation.latent_figures import class_legend, code_of, draw_codes, draw_prior
from tfssvae.evaluation.model_names import model_name
from tfssvae.evaluation.style import ink


def interpolation_figure(
    model, one: ArrayLike, two: ArrayLike, steps: int = 11, path: ArrayLike | None = None
) -> Figure:
    """Draw the images along a path between the codes of two images (EXoN, figure 4).

    Args:
        model: an `EXoN` or a `PartedVAE`.
        one: image (*input_shape) at which the path begins, or a class, whose centre it is.
        two: image, or class, at which it ends.
        steps: images on the path.
        path: (m, d) codes in between, which the path goes through; None: straight.

    Raises:
        InputError: the ends or the path do not fit the model.
    """
    ends = [code_of(model, end) for end in (one, two)]
    between = np.zeros((0, model.latent_dim)) if path is None else check_codes(model, path, "path")
    images = decode_codes(model, along_path([ends[0], *between, ends[1]], steps))
    panel = Panel(as_pictures(images), steps, ["from left to right"])
    return picture_figure([panel], f"{model_name(model)}: interpolation in the latent space")


def path_figure(
    models: Mapping[str, Any],
    x: ArrayLike,
    y: ArrayLike,
    class_names: Sequence[str],
    one: ArrayLike = 0,
    two: ArrayLike = 1,
    steps: int = 10,
) -> Figure:
    """Draw what a straight path between two classes passes, model by model (EXoN, figure 3).

    Above the codes of images over the prior and the path from A to B, below the images on it.

    Args:
        models: name -> an `EXoN` or a `PartedVAE` of two latent dimensions or more, of which the
            first two are drawn.
        x: (n, *input_shape) images.
        y: (n,) true classes; -1, where there is none, is grey.
        class_names: K names.
        one: class at whose centre the path begins, or an image.
        two: class, or image, at which it ends.
        steps: images on the path.

    Raises:
        InputError: the parts do not fit each other, or there is no model.
    """
    if not models:
        raise InputError("models must be a dict of name -> model, got an empty one.")
    figure = Figure(figsize=(4.4 * len(models) + 0.8, 5.2), dpi=100, layout="constrained")
    above, below = figure.subplots(2, len(models), height_ratios=(9, 1), squeeze=False)
    for (name, model), plane, strip in zip(models.items(), above, below, strict=True):
        check_mixture(model)
        check_class_names(class_names, model.num_classes)
        ends = [code_of(model, end) for end in (one, two)]
        draw_prior(plane, model.prior)
        draw_codes(plane, model, x, y)
        plane.plot(*np.transpose(ends)[:2], color=ink(), linestyle="--", marker="o", markersize=5)
        for letter, end in zip("AB", ends, strict=True):
            plane.annotate(
                letter, end[:2], (5, 5), textcoords="offset points", fontsize=13, weight="bold"
            )
        plane.set_title(name, fontsize=11, parse_math=False)
        images = as_pictures(decode_codes(model, along_path(ends, steps)))
        picture = image_grid(images, steps)
        strip.imshow(np.broadcast_to(picture, (*picture.shape[:2], 3)), interpolation="nearest")
        strip.set_xticks([0, picture.shape[1] - 1], ["A", "B"])
        strip.set_yticks([])
        strip.tick_params(length=0)
        strip.set_frame_on(False)
    class_legend(figure, class_names)
    return figure


def line_figure(
    models: Mapping[str, Any], start: ArrayLike, end: ArrayLike, steps: int = 11
) -> Figure:
    """Draw the images on one line of the latent space, a row per model (EXoN, figure 6).

    Args:
        models: name -> an `EXoN` or a `PartedVAE`.
        start: (d,) code on the left; such as (-10, 0).
        end: (d,) code on the right.
        steps: images on the line.

    Raises:
        InputError: the codes do not fit a model, or there is no model.
    """
    if not models:
        raise InputError("models must be a dict of name -> model, got an empty one.")
    first = next(iter(models.values()))
    check_mixture(first)
    ends: Any = [start, end]
    line = along_path(check_codes(first, ends, "start and end"), steps)
    images = np.concatenate([as_pictures(decode_codes(model, line)) for model in models.values()])
    moving = np.flatnonzero(np.ptp(line, axis=0))
    values = line[:, moving[0]] if len(moving) == 1 else np.linspace(0, 1, steps)
    panel = Panel(images, steps, list(models), [f"{value:.3g}" for value in values])
    where = f"latent dimension {moving[0] + 1}" if len(moving) == 1 else "part of the way"
    return picture_figure([panel], "Images on a line of the latent space", where)


def along_path(corners: ArrayLike, steps: int) -> NDArray[np.float64]:
    """Return equally spaced points of a polygon: (steps, d), both ends included.

    >>> along_path([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]], 3).tolist()
    [[0.0, 0.0], [1.0, 1.0], [1.0, 3.0]]
    """
    if steps < 2:
        raise InputError(f"steps must be at least 2, got {steps}.")
    points = np.asarray(corners, "float64")
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(lengths)])
    wanted = np.linspace(0, at[-1], steps)
    return np.stack([np.interp(wanted, at, unit) for unit in points.T], axis=1)
