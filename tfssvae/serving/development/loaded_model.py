"""One version of a model in memory: its signatures, checks of inputs, and calls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tfssvae.serving.development.failure import Failure, from_tensorflow, invalid

DEFAULT_SIGNATURE = "serving_default"
Arrays = dict[str, NDArray[Any]]
MOST_ROWS = 4096
"""Rows of a request: an answer is text that many times as large as the numbers of a row."""


class LoadedModel:
    """A SavedModel that answers requests; any number of threads may call it.

    Args:
        name: the name under which the model is served.
        version: its number.
        path: the folder of the version.

    Raises:
        OSError: there is no SavedModel in the folder, or it cannot be read.
        tf.errors.OpError: its variables cannot be read.
    """

    def __init__(self, name: str, version: int, path: Path) -> None:
        self.name = name
        self.version = version
        self.path = path
        self.signatures = _read_signatures(path)
        self._model = tf.saved_model.load(str(path))

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef | None:
        """Return a signature; "" is the default one; None where there is no such signature."""
        found = name or DEFAULT_SIGNATURE
        return self.signatures[found] if found in self._model.signatures else None

    def check(self, signature: str, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Refuse inputs that a signature does not take.

        Args:
            signature: a name that the model has, or "" for the default one.
            inputs: name -> array.

        Raises:
            Failure: an input is missing or unknown, or has another dtype or shape.
        """
        wanted = self.signatures[signature or DEFAULT_SIGNATURE].inputs
        missing, extra = sorted(set(wanted) - set(inputs)), sorted(set(inputs) - set(wanted))
        if missing or extra:
            raise invalid(
                f"input size does not match signature: {len(inputs)}!={len(wanted)}. "
                f"Sent extra: {{{','.join(extra)}}}. "
                f"Missing but required: {{{','.join(missing)}}}."
            )
        for name, info in wanted.items():
            _check_input(name, info, inputs[name])
            _check_rows(name, inputs[name])

    def run(self, signature: str, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Call a signature.

        Args:
            signature: a name that the model has, or "" for the default one.
            inputs: name -> array, checked by `check`.

        Returns:
            output name -> array.

        Raises:
            Failure: the model refuses the inputs.
        """
        function = self._model.signatures[signature or DEFAULT_SIGNATURE]
        try:
            found = function(**{name: tf.constant(value) for name, value in inputs.items()})
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        return {name: value.numpy() for name, value in found.items()}


def has_saved_model(path: Path) -> bool:
    """Return whether a folder holds a SavedModel.

    >>> has_saved_model(Path("no/such/folder"))
    False
    """
    return (path / "saved_model.pb").is_file()


def _read_signatures(path: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    # tf.saved_model.load drops the names of tensors and methods, which metadata shows.
    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for graph in content.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return dict(graph.signature_def)
    raise OSError(f'{path} has no graph with the tag "{tf.saved_model.SERVING}"')


def _check_input(name: str, info: meta_graph_pb2.TensorInfo, value: NDArray[Any]) -> None:
    wanted = tf.as_dtype(info.dtype)
    if not _same_dtype(wanted, value):
        raise invalid(f"input {name} must have dtype {wanted.name}, got {value.dtype.name}")
    shape = tf.TensorShape(info.tensor_shape)
    if not shape.is_compatible_with(value.shape):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise invalid(f"input {name} must have shape [{sizes}], got {list(value.shape)}")


def _check_rows(name: str, value: NDArray[Any]) -> None:
    """Refuse requests whose answer would take gigabytes."""
    if value.ndim and len(value) > MOST_ROWS:
        raise invalid(f"input {name} has {len(value)} rows: send at most {MOST_ROWS} in a request")


def _same_dtype(wanted: tf.DType, value: NDArray[Any]) -> bool:
    if wanted == tf.string:
        return value.dtype == object
    return value.dtype == wanted.as_numpy_dtype


def require_signature(model: LoadedModel, name: str, code: str, message: str) -> None:
    """Refuse the name of a signature that the model does not have.

    Args:
        model: the model.
        name: the name; "" is the default signature.
        code: the canonical status code, which differs between the protocols.
        message: what the client is told.

    Raises:
        Failure: with this code and message.
    """
    if model.signature(name) is None:
        raise Failure(code, message)
