"""A trained model as a SavedModel that needs nothing but TensorFlow to run."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tfssvae import __version__
from tfssvae.checks import InputError, check_count
from tfssvae.core import SemiSupervisedVAE
from tfssvae.serving.signatures import SUFFIXES, describe, make_signatures
from tfssvae.serving.versions import write_version


def export(
    model: SemiSupervisedVAE,
    directory: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    version: int | None = None,
    input_dtypes: Sequence[str] = ("uint8", "float32"),
) -> Path:
    """Export a model to `directory/<version>/`, where TensorFlow Serving finds it.

    Signatures, with n examples of the model's `input_shape`, K classes and codes of size d:

    - `classify`, also `serving_default`: images -> probabilities (n, K) float32 and classes (n,)
      int32;
    - `encode`: images -> codes (n, d) float32, the posterior mean;
    - `reconstruct`: images -> reconstructions (n, *input_shape) float32 in [0, 1];
    - `generate`: labels (n,) int32 and seed () int32 -> generated_images (n, *input_shape) float32
      in [0, 1].

    The first of `input_dtypes` has these names; the other has `classify_float` and so on (or
    `classify_uint8`). The numbers are those of `predict`, `encode`, `reconstruct` and `generate`.
    Floats outside 0..1 and labels outside 0..K-1 are refused by the exported model as well.

    The folder has `assets/class_names.txt`, one name per line, and `assets/interface.json`: the
    library's version, the method, the input shape and every signature.

    Args:
        model: the model; the variables that the signatures use are exported, the optimizer is not.
        directory: the model's folder, which holds its versions; made where it does not exist.
        class_names: K names; None names the classes "0" .. "K-1".
        version: a whole number; None is one more than the highest version there, or 1.
        input_dtypes: "uint8" (0..255), "float32" (0..1) or both.

    Returns:
        The path of the version.

    Raises:
        InputError: an argument is not as described, the version exists (it is never overwritten),
            or `directory` is a file or cannot be written to.

    Example:
        ```python
        path = tfssvae.serving.export(model, "saved_models/mnist_m2")
        served = tf.saved_model.load(path)
        served.signatures["classify"](images=tf.constant(x))["probabilities"]
        ```
    """
    if not isinstance(model, SemiSupervisedVAE):
        raise InputError(
            f"export takes a model of this library such as M2, got {type(model).__name__}: "
            "load a saved one with keras.saving.load_model first"
        )
    names = _checked_names(class_names, model.num_classes)
    dtypes = _checked_dtypes(input_dtypes)
    number = None if version is None else check_count(version, "version")
    return write_version(Path(directory), number, lambda path: _save(model, path, names, dtypes))


def _save(model: SemiSupervisedVAE, path: Path, class_names: list[str], dtypes: list[str]) -> None:
    signatures = make_signatures(model, dtypes)
    interface = {
        "library": f"tfssvae {__version__}",
        "method": type(model).__name__,
        "input_shape": list(model.example_shape),
        "num_classes": model.num_classes,
        "signatures": describe(signatures),
    }
    # tf.saved_model.save itself: keras.export.ExportArchive calls it too, but has no place for
    # assets. The root holds plain variables only, so that no Keras or TFP type is written, and
    # only those that a signature reads, so that optimizer and counters stay behind.
    root = tf.Module()
    root.used_variables = list(
        {id(v): v for function in signatures.values() for v in function.variables}.values()
    )
    with tempfile.TemporaryDirectory() as folder:
        root.class_names = _asset(Path(folder, "class_names.txt"), "\n".join(class_names))
        root.interface = _asset(Path(folder, "interface.json"), json.dumps(interface, indent=2))
        tf.saved_model.save(root, str(path), signatures=signatures)


def _asset(path: Path, text: str) -> tf.saved_model.Asset:
    path.write_text(f"{text}\n", encoding="utf-8", newline="\n")
    return tf.saved_model.Asset(str(path))


def _checked_names(names: Sequence[str] | None, num_classes: int) -> list[str]:
    if names is None:
        return [str(index) for index in range(num_classes)]
    found = [str(name) for name in names]
    if len(found) != num_classes:
        raise InputError(
            f"class_names must have one name for each of the {num_classes} classes, "
            f"got {len(found)}"
        )
    broken = [name for name in found if name.splitlines() != [name]]
    if broken:
        raise InputError(f"class_names must be one line of text each, got {broken[0]!r}")
    return found


def _checked_dtypes(input_dtypes: Sequence[str]) -> list[str]:
    found = [input_dtypes] if isinstance(input_dtypes, str) else list(input_dtypes)
    if not found or len(set(found)) < len(found) or not set(found) <= set(SUFFIXES):
        raise InputError(
            f'input_dtypes must be "uint8", "float32" or both, the preferred first, '
            f"got {input_dtypes!r}"
        )
    return found
