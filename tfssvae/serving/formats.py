"""Files of one signature in other formats: made, loaded again, or refused with a reason."""

import re
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfssvae.library_errors import reason
from tfssvae.serving.onnx_file import load_onnx, to_onnx
from tfssvae.serving.tflite import load_tflite, to_tflite


class CannotConvert(Exception):
    """A signature that a format cannot express; the message says why."""


def file_name(signature: str, variant: str) -> str:
    """Return the name of a file; `variant` is one of TFLite's, or "onnx".

    >>> file_name("classify", "float16"), file_name("classify", "onnx")
    ('classify_float16.tflite', 'classify.onnx')
    """
    return f"{signature}.onnx" if variant == "onnx" else f"{signature}_{variant}.tflite"


def make(path: Path, prepared: Path, function, signature: str, variant: str) -> Callable[..., dict]:
    """Write a file and load it again.

    Args:
        path: of the file.
        prepared: the SavedModel as `tflite.prepare` lends it.
        function: the signature, of the loaded SavedModel.
        signature: its name.
        variant: one of TFLite's, or "onnx".

    Returns:
        The file as a function: {input name: array} -> {output name: array}.

    Raises:
        CannotConvert: here or when the function is called.
    """
    _refuse_unknown(function, variant)
    # Converters and runtimes raise errors of many classes; each means that there is no such file.
    try:
        if variant == "onnx":
            content = to_onnx(function)
        else:
            content = to_tflite(prepared, signature, variant)
    except Exception as error:
        raise CannotConvert(_reason(error)) from error
    path.write_bytes(content)
    try:
        run = load_onnx(path) if variant == "onnx" else load_tflite(path, signature)
    except Exception as error:
        raise CannotConvert(_reason(error)) from error

    def call(**inputs):
        try:
            return run(**inputs)
        except Exception as error:
            raise CannotConvert(_reason(error)) from error

    return call


def _refuse_unknown(function, variant: str) -> None:
    """Say at once what no converter expresses, and what they report in pages."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    kind = "ONNX" if variant == "onnx" else "TFLite"
    random = sorted({node.op for node in nodes if "Random" in node.op})
    # Draws from a fixed seed (ADGM's samples of its auxiliary variable) become constants.
    if random and "seed" in function.structured_input_signature[1]:
        raise CannotConvert(f"it draws random numbers, and {kind} has no {random[0]}")
    # TFLite has no such products, and the runtimes of ONNX differ in what they have.
    half = {tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum}
    if any(node.attr["T"].type in half for node in nodes):
        raise CannotConvert(f"it computes in half precision, and {kind} files are float32 inside")


def _reason(error: Exception) -> str:
    unknown = sorted(set(re.findall(r"\btf\.(\w+)\(tensor", str(error))))
    if unknown:
        return f"TFLite has no {', '.join(unknown)}"
    return reason(error)
