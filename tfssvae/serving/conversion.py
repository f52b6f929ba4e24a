"""An exported version as files for TFLite and ONNX Runtime, each compared with it first."""

import contextlib
import importlib.util
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfssvae.checks import ConversionError, InputError, check_images, closest
from tfssvae.library_errors import install_hint
from tfssvae.serving.agreement import TOLERANCES, Agreement, compare, make_requests
from tfssvae.serving.formats import CannotConvert, file_name, make
from tfssvae.serving.tflite import VARIANTS, prepare

FOLDER = "converted"
"""Of the files, beside the versions: TensorFlow Serving passes over names that are no numbers."""
_USUAL = ("classify", "encode", "reconstruct", "generate", "decode")
_MOST_IMAGES = 128
_PACKAGES = {"tflite": ["ai_edge_litert"], "onnx": ["tf2onnx", "onnx", "onnxruntime"]}


class ConvertedFile(NamedTuple):
    """A file that was written, and how it compares with the SavedModel.

    Attributes:
        path: of the file.
        bytes: its size.
        difference: the largest difference of any output; where outputs exceed 1 (codes), it is
            relative to the largest of them.
        same_class: the part of the images that both put in the same class; None where the
            signature has no classes.
    """

    path: Path
    bytes: int
    difference: float
    same_class: float | None


class Conversion(NamedTuple):
    """What `convert` did.

    Attributes:
        files: one for each signature and variant that could be converted.
        left_out: name of a file that could not be made -> why.
        saved_model_bytes: the size of the version.
    """

    files: list[ConvertedFile]
    left_out: dict[str, str]
    saved_model_bytes: int


def check_extra(tflite: Sequence[str] = (), onnx: bool = False) -> None:
    """Refuse formats whose packages are not installed, and variants that do not exist.

    Raises:
        InputError: naming what to install, or the variants that there are.
    """
    for variant in tflite:
        if variant not in VARIANTS:
            raise InputError(f"unknown TFLite variant {variant!r}: {closest(variant, VARIANTS)}")
    wanted = [*(_PACKAGES["tflite"] if tflite else []), *(_PACKAGES["onnx"] if onnx else [])]
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{' and '.join(missing).replace('_', '-')} must be installed for these files: "
            f"{install_hint('convert')}"
        )


def convert(
    version: str | os.PathLike[str],
    images: ArrayLike,
    tflite: str | Sequence[str] = (),
    onnx: bool = False,
    signatures: Sequence[str] | None = None,
) -> Conversion:
    """Write TFLite and ONNX files of an exported version, which stays as it is.

    The files of `models/m2/1` are `models/m2/converted/1/classify_float16.tflite`, `classify.onnx`
    and so on: one for each signature, with its inputs and outputs, and any number of examples in a
    request. Each is loaded again and compared with the SavedModel, 1, 7 and more images at a time,
    before any of them appears there. The largest difference of an output may be 1e-4 (float32 and
    ONNX), 0.01 (float16) or 0.1 (dynamic), where outputs exceed 1 as a part of the largest.

    A signature that a format cannot express is left out, and said to be: those that draw random
    numbers (`generate`), and models that compute in half precision. The checks of a SavedModel
    (floats in 0..1) are not in the files.

    A SavedModel is a program, and it is run here: convert those that you trust.

    Args:
        version: the folder that `export` returned.
        images: examples to compare on, (n, *input_shape), uint8 in 0..255 or floats in 0..1; such
            as the test data. The first 128 are used.
        tflite: variants of the weights: "float32", "float16" (half the size) or "dynamic" (8-bit
            integers, a quarter of the size), or several.
        onnx: whether to write ONNX files, with float32 weights.
        signatures: names; None is classify, encode, reconstruct, generate and decode.

    Returns:
        The files, with sizes and differences, and what was left out.

    Raises:
        InputError: an argument is not as described, a file exists (none is ever overwritten), or
            a package is not installed.
        ConversionError: a file does not agree with the SavedModel, or none could be made; then
            none is written.

    Example:
        ```python
        path = tfssvae.serving.export(model, "saved_models/mnist_m2")
        tfssvae.serving.convert(path, data.x_test, tflite=["float16", "dynamic"], onnx=True)
        ```
    """
    variants = [tflite] if isinstance(tflite, str) else list(dict.fromkeys(tflite))
    if not variants and not onnx:
        raise InputError(f"name what to convert to: tflite={list(VARIANTS)}, onnx=True, or both")
    check_extra(variants, onnx)
    version = Path(version)
    interface = _interface(version)
    chosen = _chosen(interface, signatures)
    examples = check_images(images, "images", interface["input_shape"])[:_MOST_IMAGES]
    jobs = [(name, variant) for name in chosen for variant in [*variants, *["onnx"] * onnx]]
    target = version.parent / FOLDER / version.name
    _refuse_taken(target, jobs)
    with _folder(target) as partial:
        return _convert_all(version, interface, examples, jobs, partial, target)


def describe_conversion(conversion: Conversion) -> str:
    """Return a line for each file, and for each reason why files were left out."""
    lines = [f"the SavedModel has {_size(conversion.saved_model_bytes)}"]
    for file in conversion.files:
        same = "" if file.same_class is None else f", same class for {file.same_class:.1%}"
        lines.append(
            f"wrote {file.path}: {_size(file.bytes)}, differs by {file.difference:.1e}{same}"
        )
    reasons = dict.fromkeys(conversion.left_out.values())
    for reason in reasons:
        names = [name for name, why in conversion.left_out.items() if why == reason]
        lines.append(f"left out {', '.join(names)}: {reason}")
    return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _convert_all(
    version: Path,
    interface: dict[str, Any],
    examples: np.ndarray,
    jobs: list[tuple[str, str]],
    partial: Path,
    target: Path,
) -> Conversion:
    model = tf.saved_model.load(str(version))
    requests = {name: make_requests(interface, name, examples) for name, _ in jobs}
    files: list[ConvertedFile] = []
    left_out: dict[str, str] = {}
    with prepare(version) as prepared:
        for name, variant in jobs:
            path = partial / file_name(name, variant)
            function = model.signatures[name]
            try:
                converted = make(path, prepared, function, name, variant)
                agreement = _checked(path.name, function, converted, requests[name], variant)
            except CannotConvert as reason:
                left_out[path.name] = str(reason)
                continue
            files.append(ConvertedFile(target / path.name, path.stat().st_size, *agreement))
    if not files:
        reasons = "; ".join(dict.fromkeys(left_out.values()))
        raise ConversionError(f"nothing could be converted: {reasons}")
    _refuse_taken(target, jobs)  # another process may have been faster
    for file in files:
        (partial / file.path.name).rename(file.path)
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    return Conversion(files, left_out, size)


def _checked(name: str, function, converted, requests, variant: str) -> Agreement:
    try:
        agreement = compare(
            lambda **inputs: function(**{k: tf.constant(v) for k, v in inputs.items()}),
            converted,
            requests,
        )
    except ConversionError as error:
        raise ConversionError(f"{name} is not the SavedModel: {error}") from error
    if not agreement.difference <= TOLERANCES[variant]:
        raise ConversionError(
            f"{name} differs from the SavedModel by {agreement.difference:.2g}, more than "
            f"{TOLERANCES[variant]:g}: leave this variant out; no converted file was written"
        )
    return agreement


def _interface(version: Path) -> dict[str, Any]:
    try:
        return json.loads((version / "assets" / "interface.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{version} is no exported version: give the folder that export wrote, such as "
            "saved_models/mnist_m2/1"
        ) from error


def _chosen(interface: dict[str, Any], signatures: Sequence[str] | None) -> list[str]:
    known = [name for name in interface["signatures"] if name != "serving_default"]
    if signatures is None:
        return [name for name in _USUAL if name in known]
    names = [signatures] if isinstance(signatures, str) else list(dict.fromkeys(signatures))
    for name in names:
        if name not in known:
            raise InputError(f"unknown signature {name!r}: {closest(name, known)}")
    return names


def _refuse_taken(target: Path, jobs: list[tuple[str, str]]) -> None:
    for job in jobs:
        path = target / file_name(*job)
        if path.exists():
            raise InputError(f"{path} exists and is never overwritten: delete it first")


@contextlib.contextmanager
def _folder(target: Path) -> Iterator[Path]:
    """Lend a hidden folder in `target`; after it both are gone, unless `target` has got files."""
    partial = target / f".partial-{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {target} ({error.strerror}): converted files go beside the version, "
            "into a folder that you may write to"
        ) from error
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty
            target.rmdir()
            target.parent.rmdir()
