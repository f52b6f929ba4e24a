"""The image of each class at one code, and what it is taken for (Untapped, Figure 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfssvae.evaluation.class_names import check_class_names, short_name
from tfssvae.evaluation.codes import principal_components, top_codes
from tfssvae.evaluation.free_classes import images_of_classes
from tfssvae.evaluation.images import as_pictures, image_grid
from tfssvae.evaluation.model_names import model_name

_CLASSES_PER_LINE = 10
_CELL = 64  # pixels of the page
_DPI = 100
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 20, 60, 60  # pixels around a line of classes
_SHORT = 4  # letters of a name that fit above an image


def decoded_classes_figure(model, data, report: Mapping[str, Any] | None = None) -> Figure:
    """Draw the image of each class, a column per class (Untapped, Figure 2).

    The top row is decoded at the mean code of the labelled images; the rows below it one standard
    deviation away along the first two principal axes of their codes: where the class alone decides
    what is shown, a column keeps to it. Classes without labels are in brackets.

    Args:
        model: a method with `images_of_codes`.
        data: the `Data` that it was trained on, with two labelled images at least.
        report: what `free_class_report` says: below each column what the image in the top row is
            taken for, and how surely.

    Raises:
        InputError: the data do not fit the model, or its images cannot be shown.
    """
    class_names, free = data.class_names, data.classes_without_labels
    check_class_names(class_names, model.num_classes)
    rows = _codes_of_rows(top_codes(model, data.x_train[data.labelled_indices]))
    images = np.stack([as_pictures(images_of_classes(model, code)) for code in rows.values()])
    names = [f"[{short_name(n)}]" if n in free else short_name(n) for n in class_names]
    notes = [""] * len(names) if report is None else _notes(class_names, report)
    lines = [
        slice(k, k + _CLASSES_PER_LINE) for k in range(0, model.num_classes, _CLASSES_PER_LINE)
    ]
    columns = min(_CLASSES_PER_LINE, model.num_classes)
    width = _LEFT + columns * _CELL + _RIGHT
    line = _TOP + len(rows) * _CELL + _BOTTOM
    height = len(lines) * line + 40
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    for number, chosen in enumerate(lines):
        shown = images[:, chosen]
        bottom = height - 40 - (number + 1) * line + _BOTTOM
        size = (shown.shape[1] * _CELL / width, len(rows) * _CELL / height)
        axes = figure.add_axes((_LEFT / width, bottom / height, *size))
        grid = image_grid(shown.reshape(-1, *shown.shape[2:]), shown.shape[1])
        axes.imshow(
            np.broadcast_to(grid, (*grid.shape[:2], 3)), aspect="auto", interpolation="nearest"
        )
        _annotate(axes, grid.shape, list(rows), names[chosen], notes[chosen])
    title = f"{model_name(model)}: the image of each class"
    figure.suptitle(title, fontsize=11, y=1 - 20 / height, va="center")
    told = ["in brackets: classes without labels"] if free else []
    told += ["below: what the mean code's image is taken for"] if report is not None else []
    figure.supxlabel("; ".join(told), fontsize=9, y=16 / height, va="center")
    return figure


def _codes_of_rows(codes: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return row name -> code: the mean, and both ways along the principal axes."""
    found = principal_components(codes, min(2, codes.shape[1]))
    rows = {"mean code": found.mean}
    for number, (axis, deviation) in enumerate(zip(found.axes, found.deviation, strict=True), 1):
        for sign, name in ((-1, "\N{MINUS SIGN}"), (1, "+")):
            rows[f"axis {number}, {name}1 sd"] = found.mean + sign * deviation * axis
    return rows


def _notes(class_names: Sequence[str], report: Mapping[str, Any]) -> list[str]:
    seen, sure = report["decoded_as"], report["decoded_as_probability"]
    return [f"{short_name(seen[name])}\n{sure[name]:.0%}" for name in class_names]


def _annotate(axes, shape: Sequence[int], rows: list[str], names: list[str], notes: list[str]):
    def centres(pixels: int, cells: int) -> NDArray[np.float64]:
        return (np.arange(cells) + 0.5) * (pixels - 1) / cells

    columns = centres(shape[1], len(names))
    axes.set_yticks(centres(shape[0], len(rows)), rows, fontsize=9)
    long = max(map(len, [*names, *(note.partition("\n")[0] for note in notes)])) > _SHORT + 2
    turned = {"rotation": 30, "fontsize": 8} if long else {"fontsize": 10}
    axes.set_xticks(columns, notes, parse_math=False, ha="right" if long else "center", **turned)
    above = axes.secondary_xaxis("top")
    above.set_xticks(columns, names, parse_math=False, ha="left" if long else "center", **turned)
    for part in (axes, above):
        part.tick_params(length=0)
    above.spines["top"].set_visible(False)
    axes.set_frame_on(False)
