"""Test images, and the image of every class in the style of each (SHOT-VAE, Figure 6)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.codes import top_codes
from tfssvae.evaluation.figures import resized_to_fit
from tfssvae.evaluation.free_classes import images_of_classes
from tfssvae.evaluation.images import as_pictures, image_grid
from tfssvae.evaluation.model_names import model_name
from tfssvae.layers import scale_images

_CLASSES_PER_LINE = 20
_DPI = 100
_WIDTH, _CELL = 1200, 48  # pixels, of the classes at most and of an image
_LETTER, _TITLE_LETTER = 6, 9  # pixels of a letter of a name and of the title
_SIDE, _GAP, _TITLE, _CAPTION = 20, 12, 40, 34  # pixels


def has_styles(model) -> bool:
    """Whether a method can show an image in every class, its style kept."""
    return hasattr(model, "images_of_codes") or hasattr(model, "codes_in_every_class")


def style_figure(model, x: ArrayLike, class_names: Sequence[str]) -> Figure:
    """Draw a row per image: the image, then the image of each class at the mean of its code.

    Where code and class are disentangled, a row keeps the style of its image and a column its
    class (SHOT-VAE, Figure 6). More than 20 classes go on below, the images again on their left.

    Args:
        model: a method with `images_of_codes`, where the code is the mean of q(z|x), of several
            layers the top one; or with `codes_in_every_class` (EXoN), where the style is the
            place in the component of a class.
        x: (n, *input_shape) uint8, or float in [0, 1].
        class_names: K names.

    Raises:
        InputError: the method decodes no pair of a code and a class, x or class_names do not fit
            it, or x cannot be shown (see `image_grid`).
    """
    if not has_styles(model):
        raise InputError(
            f"{model_name(model)} does not decode a code and a class: there are no images of every "
            "class in the style of an image."
        )
    check_class_names(class_names, model.num_classes)
    x = check_images(x, shape=model.example_shape)
    decoded = _in_every_class(model, x)
    names = [short_name(name) for name in class_names]
    every = range(model.num_classes)
    lines = [every[k : k + _CLASSES_PER_LINE] for k in every[::_CLASSES_PER_LINE]]
    grids = [_grid(decoded[:, line], len(lines[0])) for line in lines]
    given = image_grid(_fitted(as_pictures(x), len(lines[0])), 1)
    cell = (grids[0].shape[1] - 1) // len(lines[0])
    longest = max(map(len, names))
    turned = longest * _LETTER > cell
    above = 12 + (_LETTER * longest if turned else 12)
    line_height = above + given.shape[0] + _GAP
    needed = _SIDE + given.shape[1] + _GAP + grids[0].shape[1] + _SIDE
    title = f"{model_name(model)}: every class in the style of each image"
    width = max(needed, _TITLE_LETTER * len(title) + 2 * _SIDE)
    height = _TITLE + len(lines) * line_height + _CAPTION
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)

    def place(grid: NDArray[np.float32], left: int, line: int, texts: Sequence[str]) -> None:
        bottom = height - _TITLE - line * line_height - above - grid.shape[0]
        size = (grid.shape[1] / width, grid.shape[0] / height)
        axes = figure.add_axes((left / width, bottom / height, *size))
        rgb = np.broadcast_to(grid, (*grid.shape[:2], 3))
        axes.imshow(rgb, aspect="auto", interpolation="nearest")
        middles = (np.arange(len(texts)) + 0.5) * cell
        rotation = 90 if turned else 0
        axes.set_xticks(middles, texts, rotation=rotation, fontsize=8, parse_math=False)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.set_yticks([])
        axes.set_frame_on(False)

    first = (width - needed) // 2 + _SIDE
    for number, (line, grid) in enumerate(zip(lines, grids, strict=True)):
        place(given, first, number, ["image"])
        place(grid, first + given.shape[1] + _GAP, number, [names[k] for k in line])
    figure.suptitle(title, fontsize=11, y=1 - _TITLE / 2 / height, va="center")
    caption = "one code in each row, one class in each column"
    figure.supxlabel(caption, fontsize=9, y=_CAPTION / 2 / height, va="center")
    return figure


def _in_every_class(model, x) -> NDArray[np.float32]:
    """Return each image in every class: (n, K, *input_shape)."""
    if hasattr(model, "images_of_codes"):
        return np.stack([images_of_classes(model, code) for code in top_codes(model, x)])
    codes = model.codes_in_every_class(scale_images(tf.constant(x)))
    images = model.images_of_encoding(tf.reshape(codes, [-1, codes.shape[-1]])).numpy()
    return images.reshape(len(x), model.num_classes, *model.example_shape)


def _grid(images: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Return a picture of images (rows, classes, *input_shape)."""
    flat = as_pictures(images.reshape(-1, *images.shape[2:]))
    return image_grid(_fitted(flat, columns), images.shape[1])


def _fitted(pictures: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    return resized_to_fit(pictures, _CELL, min(_CELL, _WIDTH // columns))
