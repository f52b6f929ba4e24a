"""What a folder holds that is not read, said by number and example."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_SHOWN_KINDS = 4


class Reason(NamedTuple):
    """Why something is passed over, of one and of several, and what to do about it."""

    one: str
    several: str
    advice: str


PassedOver = dict[Reason, list[Path]]

KIND = Reason(
    "file of a kind that is not read",
    "files of kinds that are not read",
    "save images as png, jpg or tif",
)
NO_FILE = Reason(
    "entry that is neither file nor folder",
    "entries that are neither files nor folders",
    "links lead nowhere, or it is a pipe or a device",
)
SUBFOLDER = Reason(
    "folder inside of a class", "folders inside of classes", "move the images up into the class"
)
EMPTY = Reason("empty folder", "empty folders", "put images there, or remove what is not needed")
VALIDATION = Reason(
    "folder of validation images",
    "folders of validation images",
    "move them into train/<class>/ and hold rows out with validation= or --validation",
)
BESIDE = Reason(
    "folder beside train/ and test/",
    "folders beside train/ and test/",
    "only train/<class>/, train/unlabelled/ and test/<class>/ are read",
)
LOOSE = Reason(
    "image outside of train/ and test/",
    "images outside of train/ and test/",
    "move them into train/<class>/ or train/unlabelled/",
)


def merge(parts: Iterable[PassedOver]) -> PassedOver:
    """Return what several folders hold that is not read."""
    merged: PassedOver = {}
    for part in parts:
        for reason, found in part.items():
            merged.setdefault(reason, []).extend(found)
    return merged


def describe(passed_over: Mapping[Reason, Sequence[Path]], folder: Path) -> str:
    """Return a text that counts by reason, each with the first example.

    Args:
        passed_over: paths below the folder; at least one for each reason.
        folder: to which examples are relative.

    >>> print(describe({EMPTY: [Path("d/test/b")]}, Path("d")))
    1 empty folder, e.g. test/b: put images there, or remove what is not needed
    """
    parts = []
    for reason, found in passed_over.items():
        what = reason.one if len(found) == 1 else reason.several
        kinds = f" ({_kinds(found)})" if reason is KIND else ""
        example = os.path.relpath(min(found), folder)
        parts.append(f"{len(found):,} {what}{kinds}, e.g. {example}: {reason.advice}")
    return "; ".join(parts)


def _kinds(files: Sequence[Path]) -> str:
    counted = collections.Counter(file.suffix.lower() or "without extension" for file in files)
    shown = [f"{count:,} {kind}" for kind, count in counted.most_common(_SHOWN_KINDS)]
    return ", ".join(shown + (["..."] if len(counted) > _SHOWN_KINDS else []))
