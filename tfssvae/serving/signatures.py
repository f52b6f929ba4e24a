"""What an exported model offers: named functions from tensors to tensors."""

from collections.abc import Sequence

import tensorflow as tf

from tfssvae.core import SemiSupervisedVAE

SUFFIXES = {"uint8": "_uint8", "float32": "_float"}


def make_signatures(model: SemiSupervisedVAE, input_dtypes: Sequence[str]) -> dict:
    """Trace the functions that a model is served by.

    An output never has the name of an input: converters to ONNX refuse that.

    Args:
        model: the model.
        input_dtypes: "uint8" (0..255) and "float32" (0..1): the first takes the plain names,
            the other "<name>_uint8" or "<name>_float".

    Returns:
        name -> tf.types.experimental.ConcreteFunction, "serving_default" (which is "classify")
        among them.
    """
    found = {"generate": _trace_generate(model)}
    for dtype in input_dtypes:
        suffix = "" if dtype == input_dtypes[0] else SUFFIXES[dtype]
        found.update({f"{name}{suffix}": f for name, f in _trace_views(model, dtype).items()})
    return {"serving_default": found["classify"], **found}


def describe(signatures: dict) -> dict:
    """Return {signature: {"inputs" and "outputs": {name: {"dtype", "shape"}}}}; null is any size.

    >>> double = tf.function(lambda x: {"y": 2 * x})
    >>> describe({"double": double.get_concrete_function(tf.TensorSpec([None], name="x"))})
    {'double': {'inputs': {'x': {'dtype': 'float32', 'shape': [None]}},
                'outputs': {'y': {'dtype': 'float32', 'shape': [None]}}}}
    """
    return {
        name: {
            "inputs": {spec.name: _plain(spec) for spec in function.structured_input_signature[0]},
            "outputs": {key: _plain(spec) for key, spec in function.structured_outputs.items()},
        }
        for name, function in signatures.items()
    }


def _plain(spec) -> dict:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}


def _trace_views(model: SemiSupervisedVAE, dtype: str) -> dict:
    def classify(images):
        probabilities = model(_in_range(images), training=False)
        classes = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {"probabilities": probabilities, "classes": classes}

    def encode(images):
        return {"codes": model.encode_batch(_in_range(images))}

    def reconstruct(images):
        return {"reconstructions": model.reconstruct_batch(_in_range(images))}

    images = tf.TensorSpec([None, *model.example_shape], dtype, name="images")
    return {
        function.__name__: tf.function(function, input_signature=[images]).get_concrete_function()
        for function in (classify, encode, reconstruct)
    }


def _trace_generate(model: SemiSupervisedVAE):
    def generate(labels, seed):
        _require(
            tf.reduce_all((labels >= 0) & (labels < model.num_classes)),
            f"labels must be in 0..{model.num_classes - 1}",
        )
        return {"generated_images": model.generate_batch(labels, seed)}

    labels = tf.TensorSpec([None], tf.int32, name="labels")
    seed = tf.TensorSpec([], tf.int32, name="seed")
    return tf.function(generate, input_signature=[labels, seed]).get_concrete_function()


def _in_range(images):
    if images.dtype.is_floating:
        _require(
            tf.reduce_all((images >= 0) & (images <= 1)),  # false for NaN, too
            "images must be floats in 0..1; images in 0..255 are sent as uint8",
        )
    return images


def _require(condition, message: str) -> None:
    # The bare op: tf.debugging.Assert wraps it in a branch, which costs time and converters.
    tf.raw_ops.Assert(condition=condition, data=[message])
