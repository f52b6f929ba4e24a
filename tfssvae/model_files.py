"""Models and weights from files that anybody may have made.

A `.keras` file is an archive of a description (JSON: classes and their arguments) and of weights
(HDF5). Keras refuses code in it, and is not alone here: every class that a description names has to
be one of ours or a plain one of Keras, whatever Keras knows how to make; the weights may not point
into other files; and neither may claim more memory than the file can account for.
"""

from __future__ import annotations

import contextlib
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import keras
import tensorflow as tf

from tfssvae import limits
from tfssvae.checks import InputError
from tfssvae.library_errors import reason
from tfssvae.models import register

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, _WEIGHTS}
_OURS = "tfssvae>"
# Values that are no classes. "__lambda__", the byte code of a function, is not among them.
_VALUES = {
    *("__tensor__", "__numpy__", "__keras_tensor__"),
    *("__bytes__", "__ellipsis__", "__slice__"),
}
# Layers of Keras that hold code, run another program's graph or read a file that they name.
_REFUSED = {
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"),
}
_FUNCTIONS = (
    *("builtins", "keras.activations", "keras.losses", "keras.metrics"),
    *("keras.initializers", "keras.constraints", "keras.regularizers"),
)


def load_model(path: Path) -> keras.Model:
    """Load a model of this library that Keras saved; nothing in the file is run as code.

    Args:
        path: of a .keras file.

    Raises:
        InputError: the file is missing or damaged, names classes that are neither ours nor plain
            layers of Keras, refers to other files, or claims more memory than it can account for.
    """
    register()
    with limits.open_file(path) as file:
        stored = _size(file)
        _check_archive(file, path)
    try:
        with counted_variables(partial(limits.check_unpacked, stored=stored, path=path)):
            model = keras.saving.load_model(path)
    except InputError:
        raise
    # Constructors raise nearly anything when their arguments are not what they should be.
    except Exception as error:
        raise _damaged(path, error) from error
    if not isinstance(model, keras.Model):
        raise InputError(f"{path} holds a {type(model).__name__}, which is no model")
    return model


def load_weights(model: keras.Model, path: Path) -> None:
    """Load the weights of a model from an HDF5 file that Keras saved.

    Raises:
        UnreadableFile: the file is missing or damaged.
        InputError: it does not fit the model, or refers to other files.
    """
    with limits.open_file(path) as file:
        _check_weights(file, path)
    try:
        model.load_weights(path)
    except ValueError as error:
        raise InputError(f"{path} does not fit this model: {reason(error)}") from error
    except Exception as error:
        raise _damaged(path, error) from error


def check_parts(description: Any, path: str | Path) -> None:
    """Refuse a description of Keras objects with a class that is neither ours nor harmless.

    Args:
        description: as `keras.saving.serialize_keras_object` gives it, at any depth.
        path: what messages name.

    Raises:
        InputError: naming the class.
    """
    register()
    parts = [description]
    while parts:
        part = parts.pop()
        if isinstance(part, list | tuple):
            parts += part
        elif isinstance(part, dict):
            parts += part.values()
            if "class_name" in part and not _is_harmless(part):
                raise InputError(
                    f"{path} names {part.get('module')!a:.60} {part['class_name']!a:.60}, which is "
                    "no part of a model of this library: a description may not bring code or files"
                )


def _is_harmless(part: dict[str, Any]) -> bool:
    name, module, registered = (
        part.get(key) for key in ("class_name", "module", "registered_name")
    )
    if not isinstance(name, str) or name in _REFUSED:
        return False
    if name in _VALUES:
        return True
    if name == "function":
        function = part.get("config")
        known = keras.saving.get_registered_object(function) if _is_ours(function) else None
        return known is not None or (module in _FUNCTIONS and not _is_ours(function))
    if _is_ours(registered):
        return keras.saving.get_registered_object(registered) is not None
    return isinstance(module, str) and (module == "keras" or module.startswith("keras."))


def _is_ours(name: Any) -> bool:
    return isinstance(name, str) and name.startswith(_OURS)


def _check_archive(file: BinaryIO, path: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if sorted(names) != sorted(_MEMBERS):
                raise InputError(
                    f"{path} is damaged: it holds {', '.join(sorted(names))!a:.200} instead of "
                    f"{', '.join(sorted(_MEMBERS))}"
                )
            limits.check_unpacked(sum(m.file_size for m in members), _size(file), path)
            if archive.getinfo(_CONFIG).file_size > limits.MODEL_CONFIG_BYTES:
                raise InputError(
                    f"{path} describes its model in more than "
                    f"{limits.MODEL_CONFIG_BYTES / 2**20:g} MiB: choose another file, or raise "
                    "tfssvae.limits.MODEL_CONFIG_BYTES"
                )
            check_parts(limits.parse_object(archive.read(_CONFIG), path), path)
            _check_weights(io.BytesIO(archive.read(_WEIGHTS)), path)
    except InputError:
        raise
    except Exception as error:  # whatever zipfile raises of bytes that are not what they should be
        raise _damaged(path, error) from error


def _check_weights(file: BinaryIO, path: Path) -> None:
    """Refuse an HDF5 file that refers to other files or claims far more than it stores.

    Args:
        file: the content.
        path: what messages name.

    Raises:
        InputError: likewise when it is damaged.
    """
    size = _size(file)
    try:
        with h5py.File(file, "r") as root:
            datasets = list(_datasets(root, path))
            claimed = sum(_claimed_bytes(dataset, path) for dataset in datasets)
            limits.check_unpacked(claimed, size, path)
            for dataset in datasets:  # what cannot be read is known before a model is touched
                dataset[()]
    except InputError:
        raise
    except Exception as error:  # whatever h5py raises of bytes that are not what they should be
        raise _damaged(path, error) from error


def _datasets(root: h5py.File, path: Path) -> Iterator[h5py.Dataset]:
    groups, seen = [root], set()
    while groups:
        group = groups.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:  # groups may hold one another
            continue
        seen.add(address)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(
                    f"{path} points to another place or file ({name!a:.60}): weights stand where "
                    "Keras writes them, choose another file"
                )
            entry = group[name]
            if isinstance(entry, h5py.Group):
                groups.append(entry)
            elif isinstance(entry, h5py.Dataset):
                yield entry


def _claimed_bytes(dataset: h5py.Dataset, path: Path) -> int:
    if dataset.external or dataset.is_virtual:
        raise InputError(
            f"{path} takes {dataset.name!a:.60} from another file: weights stand where "
            "Keras writes them, choose another file"
        )
    if dataset.dtype.kind not in "biuf":  # anything else may refer to far more than it claims
        raise limits.UnreadableFile(
            f"{path} is damaged: {dataset.name!a:.60} holds {dataset.dtype}, weights are numbers"
        )
    return math.prod(dataset.shape or ()) * dataset.dtype.itemsize


@contextlib.contextmanager
def counted_variables(check: Callable[[int], None]) -> Iterator[None]:
    """Tell the bytes of all variables so far before each one is made; `check` may refuse it."""
    claimed = 0

    def create(next_creator, **arguments):
        nonlocal claimed
        claimed += _bytes_of(arguments)
        check(claimed)
        return next_creator(**arguments)

    with tf.variable_creator_scope(create):
        yield


def _bytes_of(arguments: dict[str, Any]) -> int:
    value = arguments["initial_value"]
    if callable(value):
        with tf.Graph().as_default():  # where a value is a shape and takes no memory
            value = value()
    shape = tf.TensorShape(getattr(value, "shape", ()))
    size = tf.as_dtype(arguments.get("dtype") or getattr(value, "dtype", tf.float32)).size
    return math.prod(shape.as_list()) * size if shape.is_fully_defined() else 0


def _size(file: BinaryIO) -> int:
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    return size


def _damaged(path: Path, error: Exception) -> limits.UnreadableFile:
    return limits.UnreadableFile(f"{path} is damaged: {reason(error)}")
