"""A signature of a SavedModel as an ONNX file, and such a file as a function."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf


def to_onnx(function) -> bytes:
    """Return an ONNX file of one signature; the number of examples is a dimension named n.

    Args:
        function: the signature, of a loaded SavedModel.

    Raises:
        ValueError: ONNX has no operation for a part of it.
    """
    import onnx
    import tf2onnx

    specs = function.structured_input_signature[1]
    # Arguments by position: tf2onnx takes names from the specs.
    ordered = tf.function(lambda *values: function(**dict(zip(specs, values, strict=True))))
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()]
    with _quiet("tf2onnx"):
        model, _ = tf2onnx.convert.from_function(ordered, signature)
    # What tf2onnx cannot convert it leaves in the graph under its TensorFlow name.
    unknown = {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type)}
    if unknown:
        raise ValueError(f"ONNX has no {', '.join(sorted(unknown))}")
    for value in [*model.graph.input, *model.graph.output]:
        for dimension in value.type.tensor_type.shape.dim[:1]:
            dimension.dim_param = "n"
    return model.SerializeToString()


def load_onnx(path: Path) -> Callable[..., dict]:
    """Return the function {input name: array} -> {output name: array} of an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda **inputs: dict(zip(names, session.run(names, inputs), strict=True))


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silence a logger for a while: what it would say is raised, or of no use to the reader."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
