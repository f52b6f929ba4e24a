"""Pictures of models with several layers of codes (CaGeM, Figures 3, 5 and 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images, check_labels, check_same_length
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.codes import principal_components, top_codes
from tfssvae.evaluation.embedding import class_legend, legend_columns, scatter_classes
from tfssvae.evaluation.figures import Panel, picture_figure
from tfssvae.evaluation.images import SEPARATOR, as_pictures, image_grid
from tfssvae.evaluation.latent import plane_points
from tfssvae.evaluation.model_names import model_name
from tfssvae.evaluation.style import ink
from tfssvae.noise import Noise

_OUTSIDE = 0.02  # share of the codes left out on each side of the mesh
_MOST_PLANES = 20  # classes
_PLANES_PER_LINE = 5


def code_layers_figure(
    layers: Mapping[str, ArrayLike], labels: ArrayLike, class_names: Sequence[str], title: str = ""
) -> Figure:
    """Draw the first two principal components of each layer of codes (CaGeM, Figure 5).

    Args:
        layers: name -> (n, d) codes, see `code_layers`.
        labels: (n,) classes, or clusters, 0..K-1; -1, where there is none, is grey.
        class_names: K names.
        title: above the picture.

    Raises:
        InputError: the parts do not fit each other.
    """
    check_class_names(class_names, len(class_names))
    found = check_labels(labels, len(class_names), "labels")
    width = 4.2 * len(layers) + 1.5 * legend_columns(len(class_names))
    figure = Figure(figsize=(width, 4.4), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(layers), squeeze=False)[0]
    for axes, (name, codes) in zip(panels, layers.items(), strict=True):
        values = np.asarray(codes)
        check_same_length(values, found, (name, "labels"))
        parts = principal_components(values, min(2, values.shape[1]))
        points = np.zeros((len(values), 2))
        points[:, : len(parts.axes)] = parts.project(values)
        scatter_classes(axes, points, found, len(class_names))
        shares = [f"component {k}: {share:.0%}" for k, share in enumerate(parts.share, 1)]
        axes.set(xticks=[], yticks=[], xlabel=shares[0], ylabel="".join(shares[1:]))
        axes.set_title(f"{name}, {values.shape[1]} units", fontsize=10)
    figure.suptitle(title, fontsize=11, parse_math=False)
    class_legend(figure, found, class_names)
    return figure


def plane_extent(codes: ArrayLike) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of the box that holds most codes (n, 2)."""
    low, high = np.quantile(np.asarray(codes, "float64"), [_OUTSIDE, 1 - _OUTSIDE], axis=0)
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def code_plane_figure(
    model, x: ArrayLike, y: ArrayLike, class_names: Sequence[str], size: int = 16, seed: int = 0
) -> Figure:
    """Draw images of a mesh on the plane of the top code, beside the codes (CaGeM, Figure 3).

    At each point a class is drawn from p(y|z2), and the image of a code z1 drawn from p(z1|y, z2).

    Args:
        model: a `CaGeM` whose z2 has two dimensions.
        x: (n, *input_shape) images whose codes are shown.
        y: (n,) their classes, or their clusters; -1, where there is none, is grey.
        class_names: K names.
        size: images along each side of the mesh.
        seed: of the draws.

    Raises:
        InputError: the model has no such plane, or the parts do not fit each other.
    """
    if not hasattr(model, "class_logits"):
        raise InputError(f"{type(model).__name__} has no p(y|z2): class_planes_figure takes it.")
    check_class_names(class_names, model.num_classes)
    labels = check_labels(y, model.num_classes)
    codes = _plane_codes(model, x)
    check_same_length(codes, labels)
    extent = plane_extent(codes)
    width = 10.4 + 1.5 * legend_columns(len(class_names))
    figure = Figure(figsize=(width, 5.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    _show_mesh(left, _mesh(model, extent, size, None, seed), extent)
    left.set(xlabel="z2, first dimension", ylabel="z2, second dimension")
    left.set_title("images of a mesh, class from p(y|z2)", fontsize=10)
    scatter_classes(right, codes, labels, len(class_names))
    corner, sides = extent[::2], (extent[1] - extent[0], extent[3] - extent[2])
    right.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=ink(), linewidth=1.5))
    right.set(xlabel="z2, first dimension")
    right.set_title("codes of images; the box is the mesh", fontsize=10)
    figure.suptitle(f"{model_name(model)}: the plane of the top code", fontsize=11)
    class_legend(figure, labels, class_names)
    return figure


def class_planes_figure(
    model, x: ArrayLike, class_names: Sequence[str], size: int = 8, seed: int = 0
) -> Figure:
    """Draw images of a mesh on the plane of the top code, given each class (CaGeM, Figure 3).

    Where the class and the code are independent, each mesh shows its class throughout; in CaGeM
    the code says the class too, and a mesh shows what comes of one against the other.

    Args:
        model: a method with `images_of_codes` whose (top) code has two dimensions.
        x: (n, *input_shape) images, to whose codes the mesh extends.
        class_names: K names; the first 20 classes are drawn.
        size: images along each side of a mesh.
        seed: of what is drawn beside the code, the same for every class.

    Raises:
        InputError: the model has no such plane, or the names do not fit it.
    """
    check_class_names(class_names, model.num_classes)
    extent = plane_extent(_plane_codes(model, x))
    shown = min(model.num_classes, _MOST_PLANES)
    columns = min(shown, _PLANES_PER_LINE)
    lines = -(-shown // columns)
    figure = Figure(
        figsize=(2.5 * columns + 0.4, 2.65 * lines + 0.9), dpi=100, layout="constrained"
    )
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[shown:]:
        axes.set_axis_off()
    for k in range(shown):
        _show_mesh(panels[k], _mesh(model, extent, size, k, seed), extent)
        panels[k].set(xticks=[], yticks=[])
        panels[k].set_title(short_name(class_names[k]), fontsize=10, parse_math=False)
    named = ", ".join(
        f"{name} {low:.2g} to {high:.2g}"
        for name, low, high in (("across", *extent[:2]), ("upwards", *extent[2:]))
    )
    figure.suptitle(f"{model_name(model)}: the plane of the code, given each class", fontsize=11)
    figure.supxlabel(f"code {named}", fontsize=9)
    return figure


def generation_figure(model, x: ArrayLike, columns: int = 8, seed: int = 0) -> Figure:
    """Draw images, their reconstructions and random samples side by side (CaGeM, Figure 6).

    Args:
        model: a `SemiSupervisedVAE`.
        x: (n, *input_shape) images, of which the first columns^2 are drawn.
        columns: images along each side of a panel.
        seed: of the samples.

    Raises:
        InputError: x does not fit the model, or cannot be shown.
    """
    images = check_images(x, shape=model.example_shape)[: columns**2]
    parts = {
        "inputs": images,
        "reconstructions": model.reconstruct(images),
        "samples": random_images(model, len(images), seed),
    }
    # A frame of one pixel: images of digits may fill theirs.
    frame = ((0, 0), (1, 1), (1, 1), (0, 0))
    panels = [
        Panel(np.pad(as_pictures(part), frame, constant_values=SEPARATOR), columns, [name])
        for name, part in parts.items()
    ]
    title = f"{model_name(model)}: inputs, reconstructions and random samples"
    return picture_figure(panels, title)


def random_images(model, number: int, seed: int = 0) -> NDArray[np.float32]:
    """Return the expected images of codes and classes drawn from the model.

    Args:
        model: a `SemiSupervisedVAE`; of a `CaGeM`, z2 is drawn first and says the class.
        number: of images.
        seed: the same seed gives the same images.

    Returns:
        (number, *input_shape) float32 in [0, 1].
    """
    if hasattr(model, "class_logits"):
        noise = Noise(seed, 0)
        top = noise.normal((number, model.latent_dims[-1]))
        return model.images_of_codes(top, None, noise).numpy()
    prior = np.exp(np.asarray(model.log_class_prior(), "float64"))
    rng = np.random.default_rng(seed)
    return model.generate(rng.choice(len(prior), number, p=prior / prior.sum()), seed=seed)


def _plane_codes(model, x: ArrayLike) -> NDArray[np.float32]:
    if not hasattr(model, "images_of_codes"):
        raise InputError(f"{type(model).__name__} does not decode a code and a class.")
    codes = top_codes(model, x)
    if codes.shape[1] != 2:
        raise InputError(
            f"a plane needs a code of two dimensions next to the class, it has {codes.shape[1]}."
        )
    return codes


def _mesh(model, extent, size: int, label: int | None, seed: int) -> NDArray[np.float32]:
    """Return the images of points of the plane as one picture."""
    points = plane_points(extent, size)
    labels = None if label is None else tf.fill([len(points)], label)
    images = model.images_of_codes(tf.constant(points), labels, Noise(seed, 0)).numpy()
    return image_grid(images, size)


def _show_mesh(axes, picture: NDArray[np.float32], extent) -> None:
    rgb = np.broadcast_to(picture, (*picture.shape[:2], 3))
    axes.imshow(rgb, extent=extent, interpolation="nearest", aspect="auto")
