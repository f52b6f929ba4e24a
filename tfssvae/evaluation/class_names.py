"""Names of classes, as figures need them."""

from collections.abc import Sequence

from tfssvae.checks import InputError

_LONGEST = 20


def check_class_names(class_names: Sequence[str], num_classes: int) -> None:
    """Refuse names that do not fit the number of classes.

    Raises:
        InputError: naming both.
    """
    if isinstance(class_names, str) or len(class_names) != num_classes:
        raise InputError(
            f"class_names must be {num_classes} names, one per class, got {class_names!r:.200}."
        )


def short_name(name: str) -> str:
    """Return a class name on one line, cut where it would not fit beside a row.

    >>> short_name("a very long name of a class indeed")
    'a very long name of…'
    """
    name = " ".join(str(name).split())
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
