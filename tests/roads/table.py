"""What becomes of each wrong value on each road: the table of docs/what_is_checked.md.

    python -m tests.roads.table

prints it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.roads.wrong_values import IMAGES, KINDS, LABELS, Rows

REFUSED, CONVERTED, IMPOSSIBLE = "refused", "converted", "impossible"


class Cell(NamedTuple):
    """What becomes of a wrong value, and why, where it is not refused.

    What is converted becomes `meant` of the right rows.
    """

    outcome: str
    why: str = ""
    meant: Callable[[Rows], Rows] = lambda rows: rows


def _without_first_label(rows: Rows) -> Rows:
    return rows._replace(y=np.concatenate([[-1], rows.y[1:]]))


def _by_own_limits(rows: Rows) -> Rows:
    span = np.ptp(rows.x, axis=0)
    x = (rows.x - rows.x.min(axis=0)) / np.where(span, span, 1)
    return rows._replace(x=x.astype(np.float32))


_PIXELS = Cell(CONVERTED, "whole numbers in 0..255 are 8-bit pixels, whatever their type")
_TWO_AXES = Cell(IMPOSSIBLE, "a frame has rows and columns, no channels")
_NO_WEIGHTS = Cell(IMPOSSIBLE, "there are no sample weights on this road")
_OWN_LIMITS = Cell(
    CONVERTED, "features are scaled by their own minimum and maximum", _by_own_limits
)
_ANY_CLASS = Cell(IMPOSSIBLE, "every label but -1 is a class, K is their number")
_CLASS_NAMES = Cell(CONVERTED, "text names classes")
_NO_LABEL = Cell(CONVERTED, "NaN is no label where data enter, as -1 is", _without_first_label)
_8_BITS = Cell(IMPOSSIBLE, "image files hold whole numbers")
_NAMED = Cell(IMPOSSIBLE, "the name of the folder in which an image lies is its class")
_SEPARATE = Cell(IMPOSSIBLE, "a request holds images or labels, not both")
_ONE_BY_ONE = Cell(IMPOSSIBLE, "each image comes with its label")
_JSON = Cell(CONVERTED, "whole numbers of JSON have no type; those in 0..255 are uint8")

_WITHOUT_WEIGHTS = {"weight below 0": _NO_WEIGHTS, "one weight for all": _NO_WEIGHTS}
_FRAME = {"int64 in 0..255": _PIXELS, "channels first": _TWO_AXES}
_OTHER_FILE = {"int64 in 0..255": _PIXELS, **_WITHOUT_WEIGHTS}
_FILE = {**_OTHER_FILE, "NaN label": _NO_LABEL}
_EXCEPTIONS = {
    "numpy array": {"int64 in 0..255": _PIXELS},
    "tensor": {"int64 in 0..255": _PIXELS},
    "pandas frame": _FRAME,
    "polars frame": _FRAME,
    "`SSVAEClassifier`": {
        "floats in 0..255": _OWN_LIMITS,
        "int64 in 0..255": _OWN_LIMITS,
        "K": _ANY_CLASS,
        "-2": _ANY_CLASS,
        "NaN label": _NO_LABEL,
        "text label": _CLASS_NAMES,
    },
    "`tf.data`": {},
    "generator": {},
    "`PyDataset`": {},
    "npz file": _FILE,
    "folder of pictures": {
        "floats in 0..255": _8_BITS,
        "NaN": _8_BITS,
        "channels first": _8_BITS,
        **dict.fromkeys(LABELS, _NAMED),
        **_WITHOUT_WEIGHTS,
    },
    "`tfds:NAME`": {**_OTHER_FILE, "a label too few": _ONE_BY_ONE},
    "shards": _FILE,
    "command line": _FILE,
    "exported model": {"a label too few": _SEPARATE, **_WITHOUT_WEIGHTS},
    "served model": {"int64 in 0..255": _JSON, "a label too few": _SEPARATE, **_WITHOUT_WEIGHTS},
}
TABLE = {
    road: {kind: exceptions.get(kind, Cell(REFUSED)) for kind in KINDS}
    for road, exceptions in _EXCEPTIONS.items()
}


def markdown() -> str:
    """Return the table as two, of images and of labels, and the reasons that it refers to."""
    whys = sorted({cell.why for row in TABLE.values() for cell in row.values()} - {""})
    order = [cell.why for row in TABLE.values() for cell in row.values()]
    whys.sort(key=order.index)
    lines = []
    for kinds in (IMAGES, LABELS):
        lines += [f"| road | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
        for road, row in TABLE.items():
            cells = (_text(row[kind], whys) for kind in kinds)
            lines.append(f"| {road} | {' | '.join(cells)} |")
        lines.append("")
    lines += [f"{number}. {why[0].upper()}{why[1:]}." for number, why in enumerate(whys, 1)]
    return "\n".join(lines)


def _text(cell: Cell, whys: list[str]) -> str:
    return f"{cell.outcome} ({whys.index(cell.why) + 1})" if cell.why else cell.outcome


if __name__ == "__main__":
    print(markdown())
