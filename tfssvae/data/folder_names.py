"""What names of folders and files say: classes, unlabelled images, what systems leave behind."""

from __future__ import annotations

import re
import unicodedata

_LEFT_BEHIND = frozenset(
    {
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    }
)
_UNLABELLED = ("unlabelled", "unlabeled")
_LIKE_UNLABELLED = re.compile(r".*unlab.*|unsup(ervised)?|no[\W_]?labels?")
_VALIDATION = ("val", "valid", "validation", "dev")


def is_left_behind(name: str) -> bool:
    """Whether a file or folder is hidden, or is one that systems leave in folders unasked."""
    return name.startswith(".") or name.casefold() in _LEFT_BEHIND


def class_name(name: str) -> str:
    """Return the class that a folder's name stands for.

    Systems write accented letters in different Unicode forms, and spaces around names unseen.
    """
    return unicodedata.normalize("NFC", name).strip()


def is_unlabelled(name: str) -> bool:
    """Whether a folder has unlabelled images, however its name is spelled.

    >>> [is_unlabelled(name) for name in ("Unlabeled", "UNLABELLED ", "_unlabelled", "label")]
    [True, True, True, False]
    """
    return _bare(name) in _UNLABELLED


def is_like_unlabelled(name: str) -> bool:
    """Whether a folder seems to have unlabelled images, but is not called so.

    >>> [is_like_unlabelled(name) for name in ("unsup", "unlabelled_2", "unlabled", "sup")]
    [True, True, True, False]
    """
    return not is_unlabelled(name) and _LIKE_UNLABELLED.fullmatch(_bare(name)) is not None


def is_validation(name: str) -> bool:
    """Whether a folder beside train/ is one for validation."""
    return _bare(name) in _VALIDATION


def _bare(name: str) -> str:
    return re.sub(r"^[\W_]+|[\W_]+$", "", unicodedata.normalize("NFC", name)).casefold()
