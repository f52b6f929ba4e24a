"""A trained model as a SavedModel that needs nothing but TensorFlow to run."""

import datetime
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import ArrayLike

from tfssvae import __version__
from tfssvae.checks import InputError, check_count, check_images, check_positive
from tfssvae.core import SemiSupervisedVAE
from tfssvae.library_errors import install_hint
from tfssvae.serving.example_inputs import as_dtype
from tfssvae.serving.plane import latent_plane
from tfssvae.serving.signatures import SUFFIXES, code_size, describe, make_signatures
from tfssvae.serving.versions import write_version
from tfssvae.serving.warm_up import can_write, write_warm_up

_LOG = logging.getLogger("tfssvae")
_MOST_EXAMPLES = 2000  # whose codes say where the plane lies


def export(
    model: SemiSupervisedVAE,
    directory: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    version: int | None = None,
    input_dtypes: Sequence[str] = ("uint8", "float32"),
    examples: ArrayLike | None = None,
    score_samples: int = 100,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Export a model to `directory/<version>/`, where TensorFlow Serving finds it.

    Signatures, with n examples of the model's `input_shape`, K classes and codes of size d:

    - `classify`, also `serving_default`: images -> probabilities (n, K) float32 and classes (n,)
      int32;
    - `encode`: images -> codes (n, d) float32, the posterior mean;
    - `reconstruct`: images -> reconstructions (n, *input_shape) float32 in [0, 1];
    - `generate`: labels (n,) int32 and seed () int32 -> generated_images (n, *input_shape) float32
      in [0, 1];
    - `score`: images -> log_likelihoods (n,) float32, nats: the importance-weighted bound on log
      p(x) with `score_samples` samples, whose draws depend on an image's place in the request;
    - `explain`: images -> entropies (n,) of q(y|x), nats, and where the prior is a mixture v_nats
      (n, d): log of prior over posterior variance of each unit, nats, in expectation over y;
    - `decode`: codes (n, c), and labels (n,) where the class is not in the code ->
      decoded_images. Codes are the last c numbers of `encode`. Not M2 over M1's code;
    - `styles`: images -> class_images (n, K, *input_shape), every class in the style of each
      image, where code and class are apart.

    The first of `input_dtypes` has these names; the other has `classify_float` and so on (or
    `classify_uint8`). The numbers are those of `predict`, `encode`, `reconstruct` and `generate`.
    Floats outside 0..1 and labels outside 0..K-1 are refused by the exported model as well.

    The folder has `assets/class_names.txt`, one name per line, `assets/interface.json`: the
    library's version, the method, how images are taken, every signature and, with examples, the
    plane in which their codes vary most; and `assets/provenance.json`. With examples, and
    tensorflow-serving-api installed, TensorFlow Serving finds warm-up requests in `assets.extra`.

    Args:
        model: the model; the variables that the signatures use are exported, the optimizer is not.
        directory: the model's folder, which holds its versions; made where it does not exist.
        class_names: K names; None names the classes "0" .. "K-1".
        version: a whole number; None is one more than the highest version there, or 1.
        input_dtypes: "uint8" (0..255), "float32" (0..1) or both.
        examples: (n, *input_shape) images such as those that will be sent, for the warm-up requests
            and the plane; None leaves both out.
        score_samples: importance samples of "score".
        provenance: where the model comes from, for JSON; the command line writes the run's data,
            labels, arguments and figures.

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
    samples = check_positive(score_samples, "score_samples")
    seen = None
    if examples is not None:
        seen = as_dtype(check_images(examples, "examples", model.example_shape), "uint8")
    origin = _checked_json(provenance)
    if seen is not None and not can_write():
        _LOG.warning("no warm-up requests are written: %s", install_hint("serving"))

    def write(path: Path) -> None:
        signatures = make_signatures(model, dtypes, samples)
        interface = _interface(model, dtypes, samples, signatures, seen)
        texts = {
            "class_names.txt": "\n".join(names),
            "interface.json": json.dumps(interface, indent=2),
            "provenance.json": origin,
        }
        _save(path, signatures, texts)
        if seen is not None and can_write():
            write_warm_up(path, interface, seen)

    return write_version(Path(directory), number, write)


def _interface(model, dtypes: list[str], samples: int, signatures, examples) -> dict[str, Any]:
    """Return what a client has to know, ready for JSON."""
    size = code_size(model)
    found: dict[str, Any] = {
        "library": f"tfssvae {__version__}",
        "method": type(model).__name__,
        "input_shape": list(model.example_shape),
        "num_classes": model.num_classes,
        "preprocessing": {
            "uint8": "0..255, divided by 255 within the model",
            "float32": "0..1, taken as they are",
        },
        "plain_names_take": dtypes[0],
        "score_samples": samples,
        "code_size": size,
        "signatures": describe(signatures),
    }
    if examples is not None and size:
        found["plane"] = latent_plane(model.encode(examples[:_MOST_EXAMPLES])[:, -size:])
    return found


def _save(path: Path, signatures, texts: dict[str, str]) -> None:
    # tf.saved_model.save itself: keras.export.ExportArchive calls it too, but has no place for
    # assets. The root holds plain variables only, so that no Keras or TFP type is written, and
    # only those that a signature reads, so that optimizer and counters stay behind.
    root = tf.Module()
    root.used_variables = list(
        {id(v): v for function in signatures.values() for v in function.variables}.values()
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            setattr(root, name.partition(".")[0], _asset(Path(folder, name), text))
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


def _checked_json(provenance: Mapping[str, Any] | None) -> str:
    """Return the provenance as JSON text, with the time of the export."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    try:
        return json.dumps({**(provenance or {}), "exported": now}, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"provenance must be what JSON can say: {error}") from error
