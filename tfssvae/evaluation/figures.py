"""Pictures of what a model reconstructs and generates, and figures as files and arrays.

Figures are made without pyplot: they hold no global state and need no display.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images
from tfssvae.evaluation.images import SEPARATOR, as_pictures, image_grid

_DPI = 100
_EM = 0.6 * _DPI / 72  # pixels per point of an average character
_FONT, _TITLE_FONT = 9, 11  # points
_MOST_EXAMPLES = 50
_ROWS_PER_PANEL = 20
_LONGEST_NAME = 20


class _Panel(NamedTuple):
    grid: NDArray[np.float32]
    row_names: Sequence[str]


def reconstruction_figure(model, x: ArrayLike) -> Figure:
    """Draw originals above their reconstructions.

    Args:
        model: a `SemiSupervisedVAE`.
        x: (n, *input_shape) uint8, or float in [0, 1]; the first 50 are drawn.

    Raises:
        InputError: x does not fit the model, or cannot be shown (see `image_grid`).
    """
    x = check_images(x, shape=model.example_shape)[:_MOST_EXAMPLES]
    originals, reconstructions = as_pictures(x), as_pictures(model.reconstruct(x))
    height, width = originals.shape[1:3]
    columns = min(
        len(x), max(1, 10 * height // width)
    )  # strips of a table need a line of their own
    rows = -(-len(x) // columns)
    pairs = np.full((rows, 2, columns, *originals.shape[1:]), SEPARATOR, np.float32)
    for index, pictures in enumerate((originals, reconstructions)):
        padding = ((0, rows * columns - len(x)), (0, 0), (0, 0), (0, 0))
        padded = np.pad(pictures, padding, constant_values=SEPARATOR)
        pairs[:, index] = padded.reshape(rows, columns, *originals.shape[1:])
    grid = image_grid(pairs.reshape(-1, *originals.shape[1:]), columns)
    title = f"{type(model).__name__}: images and their reconstructions"
    return _grid_figure([_Panel(grid, ["image", "reconstruction"] * rows)], title, "")


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
    images = [model.generate([k] * per_class, seed=seed) for k in range(model.num_classes)]
    panels = []
    for first in range(0, len(images), _ROWS_PER_PANEL):
        rows = slice(first, first + _ROWS_PER_PANEL)
        grid = image_grid(np.concatenate(images[rows]), per_class)
        panels.append(_Panel(grid, class_names[rows]))
    title = f"{type(model).__name__}: generated images of each class"
    return _grid_figure(panels, title, "the same latent noise in each column")


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


def check_class_names(class_names: Sequence[str], num_classes: int) -> None:
    """Refuse names that do not fit the number of classes.

    Raises:
        InputError: naming both numbers.
    """
    if isinstance(class_names, str) or len(class_names) != num_classes:
        raise InputError(
            f"class_names must be {num_classes} names, one per class, got {class_names!r:.200}."
        )


def short_name(name: str) -> str:
    """Return a class name on one line, cut where it would not fit beside a row."""
    name = " ".join(str(name).split())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _grid_figure(panels: Sequence[_Panel], title: str, caption: str) -> Figure:
    """Place grids side by side in whole multiples of their pixels, names to the left of each."""
    names = [[short_name(name) for name in panel.row_names] for panel in panels]
    height = (panels[0].grid.shape[0] - 1) / len(names[0])
    scale = _scale(height, 56 if len(panels) == 1 else 32)
    left = int(_EM * _FONT * max(len(name) for column in names for name in column)) + 18
    top, bottom, right = 40, 34 if caption else 12, 12
    widths = [scale * panel.grid.shape[1] for panel in panels]
    total_height = top + bottom + scale * max(panel.grid.shape[0] for panel in panels)
    title_width = _EM * _TITLE_FONT * len(title) + 2 * right
    total_width = max(sum(widths) + left * len(panels) + right, title_width)
    figure = Figure(figsize=(total_width / _DPI, total_height / _DPI), dpi=_DPI)
    x = float(left)
    for panel, column, width in zip(panels, names, widths, strict=True):
        height = scale * panel.grid.shape[0]
        bounds = (x, total_height - top - height, width, height)
        axes = figure.add_axes(
            (
                bounds[0] / total_width,
                bounds[1] / total_height,
                bounds[2] / total_width,
                bounds[3] / total_height,
            )
        )
        axes.imshow(_as_rgb(panel.grid), aspect="auto", vmin=0, vmax=1)
        step = (panel.grid.shape[0] - 1) / len(column)
        ticks = [(row + 0.5) * step for row in range(len(column))]
        # Class names are text, not formulas: a "$" is a "$".
        axes.set_yticks(ticks, column, fontsize=_FONT, parse_math=False)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.set_frame_on(False)
        x += width + left
    figure.suptitle(title, fontsize=_TITLE_FONT, y=1 - 20 / total_height, va="center")
    if caption:
        figure.supxlabel(caption, fontsize=_FONT, y=bottom / 2 / total_height, va="center")
    return figure


def _scale(height: float, wanted: int) -> float:
    """Return the pixels of the figure per pixel of an image: whole, unless images are large."""
    return max(1, round(wanted / height)) if height <= 4 * wanted else 4 * wanted / height


def _as_rgb(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(grid, 3, axis=-1) if grid.shape[-1] == 1 else grid
