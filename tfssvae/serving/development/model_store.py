"""The models in their folders, and the versions that are served of them."""

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfssvae.checks import InputError
from tfssvae.library_errors import reason
from tfssvae.serving.development.failure import Failure
from tfssvae.serving.development.loaded_model import LoadedModel, has_saved_model

_log = logging.getLogger(__name__)
_MAX_VERSION = 2**63 - 1


@dataclass
class VersionStatus:
    """How a version is.

    Args:
        version: its number.
        state: "LOADING", "AVAILABLE" or "END" (it could not be loaded), as TensorFlow Serving
            calls them.
        error: why it could not be loaded, or "".
    """

    version: int
    state: str
    error: str = ""


class _Version:
    """A version folder, loaded when it is first needed."""

    def __init__(self, name: str, number: int, path: Path) -> None:
        self.name, self.number, self.path = name, number, path
        self.identity = _identity(path)
        self.model: LoadedModel | None = None
        self.error = ""
        self._failed_stamp: object = None
        self._lock = threading.Lock()

    def load(self) -> LoadedModel | None:
        """Return the model; None where it cannot be loaded, which `error` explains."""
        with self._lock:
            stamp = None if self.model else _stamp(self.path)
            # What failed is read again only once it has changed: it may have been half copied.
            if self.model is None and (not self.error or stamp != self._failed_stamp):
                try:
                    self.model, self.error = LoadedModel(self.name, self.number, self.path), ""
                except Exception as error:  # of files that anything may have written
                    self.error = reason(error)
                    self._failed_stamp = stamp
                    _log.warning(
                        "%s: version %d cannot be loaded: %s", self.name, self.number, self.error
                    )
            return self.model


class _Folder:
    """A model's folder."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.versions: dict[int, _Version] = {}
        self.latest: int | None = None

    def refresh(self) -> None:
        """Take up the versions that are there now; the newest that can be loaded is the latest."""
        try:
            found = _numbered_folders(self.path)
        except FileNotFoundError:
            found = {}
        except OSError as error:
            _log.warning("%s: cannot read %s (%s)", self.name, self.path, error.strerror)
            return
        versions = {number: self._version(number, path) for number, path in found.items()}
        # Whole dicts are exchanged: requests read them at any time, without a lock. Versions that
        # are gone answer until the one that takes their place is loaded.
        self.versions = {**self.versions, **versions}
        latest = next((n for n in sorted(versions, reverse=True) if versions[n].load()), None)
        if latest not in (self.latest, None):
            _log.info("%s: version %d is served", self.name, latest)
        self.latest, self.versions = latest, versions

    def _version(self, number: int, path: Path) -> _Version:
        known = self.versions.get(number)
        # Where another model has taken the place of one that is loaded, that one is served.
        is_same = known is not None and (known.model is None or known.identity == _identity(path))
        return known if known is not None and is_same else _Version(self.name, number, path)


class ModelStore:
    """The models that are served.

    The newest version of a model is loaded at once, and a newer one as soon as it appears; until
    it is loaded, requests go to the one before. Older versions are loaded when they are first
    asked for by number. Versions that are deleted are no longer served.

    Args:
        folders: model name -> the folder that holds its numbered versions.
        poll_seconds: how often the folders are looked at.

    Raises:
        InputError: a name cannot be part of an address, or a folder has no version that can be
            loaded.
    """

    def __init__(self, folders: Mapping[str, Path], poll_seconds: float = 1.0) -> None:
        self._folders = {name: _Folder(name, path) for name, path in folders.items()}
        for folder in self._folders.values():
            _open(folder)
        self._poll_seconds = poll_seconds
        self._stopped = threading.Event()
        self._watch = threading.Thread(target=self._poll, name="versions", daemon=True)
        self._watch.start()

    @property
    def names(self) -> list[str]:
        """The names of the models."""
        return list(self._folders)

    def find(self, name: str, version: int | None = None) -> LoadedModel:
        """Return a version of a model, which is loaded where it is not yet.

        Args:
            name: of the model.
            version: its number; None is the newest.

        Raises:
            Failure: there is no such model or version, or it cannot be loaded.
        """
        folder = self._folders.get(name)
        number = folder.latest if folder and version is None else version
        entry = folder.versions.get(number) if folder and number is not None else None
        model = entry.load() if entry else None
        if model is None:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            reason = f": {entry.error}" if entry else ""
            raise Failure("NOT_FOUND", f"Servable not found for request: {wanted}{reason}")
        return model

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Return how the versions of a model are, the newest first.

        Versions that are loaded when they are first asked for count as available.

        Args:
            name: of the model.
            version: the only version that is wanted; None is all of them.

        Raises:
            Failure: there is no such model or version.
        """
        folder = self._folders.get(name)
        versions = dict(folder.versions) if folder else {}
        if version is not None and version not in versions:
            raise Failure("NOT_FOUND", f"Could not find version {version} of model {name}")
        if not versions:
            raise Failure("NOT_FOUND", f"Could not find any versions of model {name}")
        latest = (folder.latest if folder else None) or 0
        wanted = sorted(versions, reverse=True) if version is None else [version]
        return [_status(versions[number], number > latest) for number in wanted]

    def close(self) -> None:
        """Stop looking at the folders."""
        self._stopped.set()
        self._watch.join()

    def _poll(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            for folder in self._folders.values():
                folder.refresh()


def _status(entry: _Version, is_newer: bool) -> VersionStatus:
    if entry.error and entry.model is None:
        return VersionStatus(entry.number, "END", entry.error)
    loading = is_newer and entry.model is None
    return VersionStatus(entry.number, "LOADING" if loading else "AVAILABLE")


def _open(folder: _Folder) -> None:
    if not re.fullmatch(r"[^/:]+", folder.name):
        raise InputError(f"a model's name has no / and no : in it, got {folder.name!r}")
    if not folder.path.is_dir():
        raise InputError(f"there is no folder {folder.path}: export a model to it first")
    if has_saved_model(folder.path):
        raise InputError(
            f"{folder.path} is one version of a model: give the folder that holds the versions, "
            f"{folder.path.resolve().parent}"
        )
    if not _numbered_folders(folder.path):
        raise InputError(
            f"{folder.path} has no numbered versions such as {folder.path / '1'}: export a model "
            "to it first"
        )
    folder.refresh()
    if folder.latest is None:
        newest = folder.versions[max(folder.versions)]
        raise InputError(
            f"{newest.path} is not a SavedModel that can be loaded ({newest.error}): "
            "export it again"
        )


def _numbered_folders(path: Path) -> dict[int, Path]:
    """Return number -> folder; hidden folders of exports that are under way have no number."""
    found = {
        int(entry.name): entry
        for entry in sorted(path.iterdir())
        if re.fullmatch("[0-9]+", entry.name) and entry.is_dir()
    }
    return {number: entry for number, entry in found.items() if number <= _MAX_VERSION}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = (path / "saved_model.pb").stat()
    except OSError:  # it is being copied
        return None
    return found.st_ino, found.st_mtime_ns


def _stamp(path: Path) -> list:
    try:
        files = [(str(file), file.stat()) for file in sorted(path.rglob("*"))]
    except OSError:  # a file went away meanwhile
        return []
    return [(name, entry.st_size, entry.st_mtime_ns) for name, entry in files]
