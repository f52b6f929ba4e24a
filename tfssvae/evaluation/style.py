"""How figures look: light or dark, and text that is never taken for a formula."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.colors import to_rgb
from matplotlib.legend import Legend

DARK_BACKGROUND = "#161b22"
_DARK_TEXT = "#d7dde4"
_DARK: dict[Any, Any] = {
    **dict.fromkeys(
        ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"),
        DARK_BACKGROUND,
    ),
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
        _DARK_TEXT,
    ),
    # The hues of matplotlib's default cycle, bright enough for a dark ground.
    "axes.prop_cycle": cycler(
        color=[
            *("#5aa9e6", "#ffb14e", "#63c66d", "#f0746e", "#b497e7"),
            *("#c49a7a", "#f29ad0", "#b0b6bd", "#d2d354", "#4fd0dc"),
        ]
    ),
}


def theme(dark: bool) -> AbstractContextManager:
    """Return a context in which new figures are drawn for a light or a dark page."""
    return matplotlib.rc_context(_DARK if dark else None)


def on_dark() -> bool:
    """Whether new figures have a dark ground, by matplotlib's own settings."""
    return luminance(matplotlib.rcParams["figure.facecolor"]) < 0.5


def ink() -> str:
    """Return the colour of text."""
    return matplotlib.rcParams["text.color"]


def luminance(colour) -> float:
    """Return how bright a colour looks, 0 (black) to 1 (white)."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def plain_legend(owner, handles: Sequence, names: Sequence[str], **kwargs) -> Legend:
    r"""Add a legend whose names are shown as they are, "$" and a leading "_" included.

    Args:
        owner: a figure or axes.
        handles: what is named.
        names: one name for each.
        **kwargs: of `Figure.legend` and `Axes.legend`.
    """
    legend = owner.legend(handles, ["?"] * len(handles), **kwargs)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
    return legend
