"""The image of each class at one code, and what it is taken for (Untapped, Figure 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.codes import principal_components, top_codes
from tfssvae.evaluation.figures import resized_to_fit
from tfssvae.evaluation.free_classes import images_of_classes
from tfssvae.evaluation.images import SEPARATOR, as_pictures, image_grid
from tfssvae.evaluation.model_names import model_name

_CLASSES_PER_LINE = 10
_DPI = 100
_CELL, _GAP, _LEFT, _TITLE, _CAPTION = 60, 2, 100, 40, 30  # pixels of the page
_SHORT = 7  # letters of a name that fit above an image


def decoded_classes_figure(model, data, report: Mapping[str, Any] | None = None) -> Figure:
    """Draw the image of each class, a column per class (Untapped, Figure 2).

    The top row is decoded at the mean code of the labelled images; the rows below it one standard
    deviation away along the first two principal axes of their codes: where the class alone decides
    what is shown, a column keeps to it. Classes without labels are in brackets.

    Args:
        model: a method with `images_of_codes`.
        data: the `Data` that it was trained on.
        report: what `free_class_report` says: below each column what the image in the top row is
            taken for, and how surely.

    Raises:
        InputError: the data do not fit the model, or its images cannot be shown.
    """
    class_names, free = data.class_names, data.classes_without_labels
    check_class_names(class_names, model.num_classes)
    rows = _codes_of_rows(top_codes(model, data.x_train[data.labelled_indices]))
    images = np.stack([_framed(images_of_classes(model, code)) for code in rows.values()])
    names = [f"[{short_name(n)}]" if n in free else short_name(n) for n in class_names]
    notes = [""] * len(names) if report is None else _notes(class_names, report)
    every = range(model.num_classes)
    lines = [every[k : k + _CLASSES_PER_LINE] for k in every[::_CLASSES_PER_LINE]]
    grids = [image_grid(images[:, k].reshape(-1, *images.shape[2:]), len(k)) for k in lines]
    long = max(map(len, [*names, *(note.partition("\n")[0] for note in notes)])) > _SHORT
    above, below = (70, 80) if long else (28, 46)  # pixels around a line of classes
    line = above + grids[0].shape[0] + below
    width = _LEFT + grids[0].shape[1] + (70 if long else 20)
    height = _TITLE + len(lines) * line + _CAPTION
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    for number, (grid, chosen) in enumerate(zip(grids, lines, strict=True)):
        bottom = height - _TITLE - (number + 1) * line + below
        size = (grid.shape[1] / width, grid.shape[0] / height)
        axes = figure.add_axes((_LEFT / width, bottom / height, *size))
        rgb = np.broadcast_to(grid, (*grid.shape[:2], 3))
        axes.imshow(rgb, aspect="auto", interpolation="nearest")
        _annotate(
            axes, list(rows), [names[k] for k in chosen], [notes[k] for k in chosen], turned=long
        )
    title = f"{model_name(model)}: the image of each class"
    figure.suptitle(title, fontsize=11, y=1 - _TITLE / 2 / height, va="center")
    told = ["in brackets: classes without labels"] if free else []
    told += ["below: what the mean code's image is taken for"] if report is not None else []
    figure.supxlabel("; ".join(told), fontsize=9, y=_CAPTION / 2 / height, va="center")
    return figure


def _framed(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images enlarged for the page, with a gap around each: digits may fill theirs."""
    cells = resized_to_fit(as_pictures(images), _CELL, _CELL)
    gap = (_GAP, _GAP)
    return np.pad(cells, ((0, 0), gap, gap, (0, 0)), constant_values=SEPARATOR)


def _codes_of_rows(codes: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return row name -> code: the mean, and both ways along the principal axes."""
    if len(codes) == 1:
        return {"only code": codes[0].astype("float64")}
    found = principal_components(codes, min(2, codes.shape[1]))
    rows = {"mean code": found.mean}
    for number, (axis, deviation) in enumerate(zip(found.axes, found.deviation, strict=True), 1):
        for sign, name in ((-1, "\N{MINUS SIGN}"), (1, "+")):
            rows[f"axis {number}, {name}1 sd"] = found.mean + sign * deviation * axis
    return rows


def _notes(class_names: Sequence[str], report: Mapping[str, Any]) -> list[str]:
    seen, sure = report["decoded_as"], report["decoded_as_probability"]
    return [f"{short_name(seen[name])}\n{sure[name]:.0%}" for name in class_names]


def _annotate(axes, rows: list[str], names: list[str], notes: list[str], turned: bool) -> None:
    """Name the rows of a picture to its left, and its columns above and below it."""
    height, width = axes.images[0].get_array().shape[:2]

    def centres(pixels: int, cells: int) -> NDArray[np.float64]:
        return (np.arange(cells) + 0.5) * (pixels - 1) / cells

    axes.set_yticks(centres(height, len(rows)), rows, fontsize=9)
    columns = centres(width, len(names))
    above = axes.secondary_xaxis("top")
    for part, texts, side in ((axes, notes, "right"), (above, names, "left")):
        style = {"rotation": 35, "fontsize": 8, "ha": side} if turned else {"fontsize": 10}
        part.set_xticks(columns, texts, parse_math=False, **style)
        part.tick_params(length=0)
    above.spines["top"].set_visible(False)
    axes.set_frame_on(False)
