"""Where the classes and the images of a folder are, and what in it is not read."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tfssvae.checks import InputError, closest
from tfssvae.data import passed_over
from tfssvae.data.folder_names import (
    class_name,
    is_left_behind,
    is_like_unlabelled,
    is_unlabelled,
    is_validation,
)
from tfssvae.data.image_formats import extensions
from tfssvae.data.passed_over import PassedOver

_LAYOUT = "train/<class>/*.png, train/unlabelled/*.png, test/<class>/*.png"
_PARTS = ("train", "test")


class Layout(NamedTuple):
    """Images and their classes, in the order of the names of folders and files.

    `train` and `test` are (file, class index), -1 without a label; `notes` are sentences that users
    should read.
    """

    class_names: list[str]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]]
    notes: list[str]


class _Content(NamedTuple):
    images: list[Path]
    passed_over: PassedOver


def find_layout(folder: Path) -> Layout:
    """Find the images of a folder.

    A file is taken for an image by its extension. What is hidden, or was left by a system
    (`__MACOSX`, `Thumbs.db`), is passed over without a word.

    Raises:
        InputError: for another layout, images outside of a class, a class without an image that is
            read, two folders of one class, a class of test/ that is not in train/, or a name that
            seems to say "unlabelled".
        OSError: a folder cannot be read.
    """
    beside = _beside(folder)
    loose = [_loose(folder / part) for part in _PARTS]
    train_folders = _subfolders(folder / "train")
    test_folders = _subfolders(folder / "test")
    class_names = _class_names(train_folders)
    _check_test_classes(folder, test_folders, class_names)
    labels = {name: index for index, name in enumerate(class_names)}
    found = {entry: _content(entry) for entry in (*train_folders, *test_folders)}
    for entry, content in found.items():
        _check_read(entry, content, in_train=entry.parent.name == "train")
    train, test = (
        [
            (file, -1 if is_unlabelled(entry.name) else labels[class_name(entry.name)])
            for entry in folders
            for file in found[entry].images
        ]
        for folders in (train_folders, test_folders)
    )
    missed = [*(content.passed_over for content in found.values()), *loose, beside]
    described = passed_over.describe(passed_over.merge(missed), folder)
    if not train:
        only = f" ({described})" if described else ""
        raise InputError(
            f"{folder} has no images in train/{only}: expected {_LAYOUT} with one of the extensions"
            f" {', '.join(sorted(extensions()))}."
        )
    notes = [f"{folder}: passed over {described}"] if described else []
    return Layout(class_names, train, test, notes + _alike(folder, class_names))


def _beside(folder: Path) -> PassedOver:
    """Return what stands beside train/ and test/."""
    entries = _entries(folder) if folder.is_dir() else []
    folders = [entry for entry in entries if entry.is_dir()]
    if not (folder / "train").is_dir():
        names = ", ".join(f"{entry.name}/" for entry in folders[:5])
        has = f"; it has {names}" if names else ""
        raise InputError(f"{folder} has no folder train/: expected {_LAYOUT}{has}.")
    others = [entry for entry in folders if entry.name not in _PARTS]
    return _without_empty(
        {
            passed_over.VALIDATION: [entry for entry in others if is_validation(entry.name)],
            passed_over.BESIDE: [entry for entry in others if not is_validation(entry.name)],
            passed_over.LOOSE: [entry for entry in entries if _is_image(entry)],
        }
    )


def _loose(folder: Path) -> PassedOver:
    """Return what stands in train/ or test/ outside of the classes."""
    if not folder.is_dir():
        return {}
    loose = [entry for entry in _entries(folder) if not entry.is_dir()]
    if images := [entry for entry in loose if _is_image(entry)]:
        raise InputError(
            f"{images[0]} stands outside of a class folder: move it to {folder.name}/<class>/"
            + (" or to train/unlabelled/." if folder.name == "train" else ".")
        )
    return _without_empty({passed_over.KIND: [entry for entry in loose if entry.is_file()]})


def _class_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of classes that have folders."""
    spelled: Mapping[str, list[Path]] = collections.defaultdict(list)
    for entry in folders:
        if is_like_unlabelled(entry.name):
            raise InputError(
                f"{entry} is called neither unlabelled nor like a class: rename it to unlabelled if"
                " nobody has sorted its images, or else to the name of their class."
            )
        if not is_unlabelled(entry.name):
            spelled[class_name(entry.name)].append(entry)
    _refuse_one_class_twice(spelled)
    return sorted(spelled)


def _check_test_classes(folder: Path, folders: Sequence[Path], names: Sequence[str]) -> None:
    spelled: Mapping[str, list[Path]] = collections.defaultdict(list)
    for entry in folders:
        name = class_name(entry.name)
        if is_unlabelled(name) and name not in names:
            raise InputError(f"{entry} has no labels to test with: move it to train/unlabelled/.")
        if name not in names:
            raise InputError(
                f'{folder / "test"} has a class "{name}" that train/ does not have:'
                f" {closest(name, names)}."
            )
        spelled[name].append(entry)
    _refuse_one_class_twice(spelled)


def _refuse_one_class_twice(spelled: Mapping[str, Sequence[Path]]) -> None:
    for entries in spelled.values():
        if len(entries) > 1:
            one, other = (ascii(entry.name) for entry in entries[:2])
            raise InputError(
                f"{entries[0].parent} has two folders of one class, {one} and {other}, which differ"
                " by spaces or by the form of accented letters only: move the images of one into"
                " the other."
            )


def _alike(folder: Path, class_names: Sequence[str]) -> list[str]:
    """Return a note where classes differ by case only, as letters a and A may, and Cat and cat."""
    by_letters: Mapping[str, list[str]] = collections.defaultdict(list)
    for name in class_names:
        by_letters[name.casefold()].append(name)
    pairs = [names for names in by_letters.values() if len(names) > 1]
    if not pairs:
        return []
    one, other = pairs[0][:2]
    return [f'{folder}: classes differ by case only, e.g. "{one}" and "{other}"']


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()] if folder.is_dir() else []


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not is_left_behind(entry.name))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in extensions() and file.is_file()


def _content(folder: Path) -> _Content:
    """Return the images of a class's folder, and what else it has."""
    content = _Content([], collections.defaultdict(list))
    for entry in _entries(folder):
        if _is_image(entry):
            content.images.append(entry)
        elif entry.is_dir():
            content.passed_over[passed_over.SUBFOLDER].append(entry)
        elif entry.is_file():
            content.passed_over[passed_over.KIND].append(entry)
        else:
            content.passed_over[passed_over.NO_FILE].append(entry)
    if not content.images and not content.passed_over:
        content.passed_over[passed_over.EMPTY].append(folder)
    return content


def _check_read(folder: Path, content: _Content, in_train: bool) -> None:
    if content.images:
        return
    # A class need not be tested, and unlabelled images need not be there; those that are there and
    # not read would be missed.
    if passed_over.EMPTY in content.passed_over:
        if in_train and not is_unlabelled(folder.name):
            raise InputError(f"{folder} is empty: put images of the class there, or remove it.")
        return
    raise InputError(
        f"{folder} has no image that is read, only"
        f" {passed_over.describe(content.passed_over, folder)}; remove it if it is no class."
    )


def _without_empty(found: PassedOver) -> PassedOver:
    return {reason: entries for reason, entries in found.items() if entries}
