"""Pictures of what a model reconstructs and generates, and figures as files and arrays.

Figures are made without pyplot: they hold no global state and need no display.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images
from tfssvae.data.images import resize
from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.images import SEPARATOR, as_pictures, image_grid
from tfssvae.evaluation.model_names import model_name

_DPI = 100
_EM = 0.6 * _DPI / 72  # pixels per point of an average character
_FONT, _TITLE_FONT = 9, 11  # points
_MOST_EXAMPLES = 50
_ROWS_PER_PANEL = 20


class Panel(NamedTuple):
    """Examples (n, h, w, c) in rows of the given number of columns, and names of rows and columns.

    Columns need no names.
    """

    examples: NDArray[np.float32]
    columns: int
    row_names: Sequence[str]
    column_names: Sequence[str] = ()


def reconstruction_figure(model, x: ArrayLike) -> Figure:
    """Draw inputs above their reconstructions, by one model or by several (MIER, figure 2).

    Args:
        model: a `SemiSupervisedVAE`, or a dict of label -> model: each has a row of its own.
        x: (n, *input_shape) uint8, or float in [0, 1]; the first 50 are drawn.

    Raises:
        InputError: x does not fit a model, or cannot be shown (see `image_grid`); no model.
    """
    if isinstance(model, Mapping):
        models, title = dict(model), "Inputs and their reconstructions"
    else:
        models = {"reconstruction": model}
        title = f"{model_name(model)}: inputs and their reconstructions"
    if not models:
        raise InputError("model must be a model or a dict of label -> model, got an empty dict.")
    for one in models.values():
        x = check_images(x, shape=one.example_shape)
    x = np.asarray(x)[:_MOST_EXAMPLES]
    stacked = np.stack(
        [as_pictures(x), *(as_pictures(one.reconstruct(x)) for one in models.values())]
    )
    height, width = stacked.shape[2:4]
    # Ten squares to a line; a strip of a table has a line of its own.
    columns = min(len(x), max(1, 10 * height // width))
    lines = -(-len(x) // columns)
    filled = np.full((len(stacked), lines * columns, *stacked.shape[2:]), SEPARATOR, np.float32)
    filled[:, : len(x)] = stacked
    # Line by line: the inputs, then what each model makes of them.
    rows = filled.reshape(len(stacked), lines, columns, *stacked.shape[2:]).swapaxes(0, 1)
    panel = Panel(rows.reshape(-1, *stacked.shape[2:]), columns, ["input", *models] * lines)
    return picture_figure([panel], title)


def class_samples_figure(
    model, class_names: Sequence[str], per_class: int = 8, seed: int = 0
) -> Figure:
    """Draw generated images, a row per class; each column has one latent noise, so one style.

    Args:
        model: a `SemiSupervisedVAE`.
        class_names: K names.
        per_class: images per class.
        seed: of the latent noise.

    Raises:
        InputError: class_names does not fit the model, or its images cannot be shown.
    """
    check_class_names(class_names, model.num_classes)
    if per_class < 1:
        raise InputError(f"per_class must be at least 1, got {per_class}.")
    # Labels of one shape and one seed draw the same noise: only the class differs.
    examples = [model.generate([k] * per_class, seed=seed) for k in range(model.num_classes)]
    panels = []
    for first in range(0, len(examples), _ROWS_PER_PANEL):
        rows = slice(first, first + _ROWS_PER_PANEL)
        pictures = as_pictures(np.concatenate(examples[rows]))
        panels.append(Panel(pictures, per_class, class_names[rows]))
    title = f"{model_name(model)}: generated examples of each class"
    return picture_figure(panels, title, "the same latent noise in each column")


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG; a reader sees the old file or the whole new one, nothing between.

    Args:
        figure: a matplotlib figure.
        path: file to write, ending in ".png"; missing folders are made.

    Raises:
        InputError: path does not end in ".png".
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise InputError(f'figures are saved as PNG: expected a path ending in ".png", got {path}.')
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(partial, format="png")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """Draw a figure into an array: (height, width, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def picture_figure(panels: Sequence[Panel], title: str, caption: str = "") -> Figure:
    """Place panels side by side, pixel for pixel, with the names of their rows to the left."""
    cell_height = 64 if len(panels) == 1 else 32
    grids = [
        image_grid(
            resized_to_fit(panel.examples, cell_height, 1200 // panel.columns), panel.columns
        )
        for panel in panels
    ]
    names = [[short_name(name) for name in panel.row_names] for panel in panels]
    lefts = [int(_EM * _FONT * max(map(len, column))) + 18 for column in names]
    top, bottom, right = 40, 34 if caption else 12, 12
    bottom += 18 if any(panel.column_names for panel in panels) else 0
    height = top + bottom + max(len(grid) for grid in grids)
    needed = sum(lefts) + sum(grid.shape[1] for grid in grids) + right
    width = max(needed, int(_EM * _TITLE_FONT * len(title)) + 2 * right)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    x = (width - needed) // 2
    for panel, grid, column, left in zip(panels, grids, names, lefts, strict=True):
        x += left
        y = height - top - grid.shape[0]
        size = (grid.shape[1] / width, grid.shape[0] / height)
        axes = figure.add_axes((x / width, y / height, *size))
        rgb = np.broadcast_to(grid, (*grid.shape[:2], 3))
        axes.imshow(rgb, aspect="auto", interpolation="nearest")
        # Class names are text, not formulas: a "$" is a "$".
        axes.set_yticks(_middles(len(grid), column), column, fontsize=_FONT, parse_math=False)
        below = panel.column_names
        axes.set_xticks(_middles(grid.shape[1], below), below, fontsize=_FONT, parse_math=False)
        axes.tick_params(length=0)
        axes.set_frame_on(False)
        x += grid.shape[1]
    figure.suptitle(title, fontsize=_TITLE_FONT, y=1 - 20 / height, va="center")
    figure.supxlabel(caption, fontsize=_FONT, y=17 / height, va="center")
    return figure


def _middles(pixels: int, names: Sequence[str]) -> list[float]:
    """Return where the middle of each named row or column is in a grid of so many pixels."""
    return [(place + 0.5) * (pixels - 1) / len(names) for place in range(len(names))]


def resized_to_fit(examples: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return examples enlarged by a whole number to fit, or shrunk where they are far larger.

    Args:
        examples: (n, h, w, c).
        height: of a cell, pixels.
        width: of a cell, pixels.
    """
    enlarged = min(height // examples.shape[1], width // examples.shape[2])
    if enlarged > 1:
        return examples.repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    shrunk = min(2 * height / examples.shape[1], width / examples.shape[2])
    if shrunk >= 1:
        return examples
    return resize(examples, [max(1, round(side * shrunk)) for side in examples.shape[1:3]])
