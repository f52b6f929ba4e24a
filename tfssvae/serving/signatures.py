"""What an exported model offers: named functions from tensors to tensors."""

from collections.abc import Sequence

import tensorflow as tf

from tfssvae import losses
from tfssvae.batch_checks import checked_images
from tfssvae.core import SemiSupervisedVAE
from tfssvae.layers import repeat_rows, scale_images
from tfssvae.noise import Noise

SUFFIXES = {"uint8": "_uint8", "float32": "_float"}
_SCORE_BLOCK = 50  # importance samples of each image at a time


class _Alike(Noise):
    """The same draws for every row: what is decoded does not depend on its place in a request."""

    def _draw(self, sampler, shape) -> tf.Tensor:
        return tf.broadcast_to(super()._draw(sampler, (1, *shape[1:])), shape)


def make_signatures(
    model: SemiSupervisedVAE, input_dtypes: Sequence[str], score_samples: int
) -> dict:
    """Trace the functions that a model is served by.

    An output never has the name of an input: converters to ONNX refuse that.

    Args:
        model: the model.
        input_dtypes: "uint8" (0..255) and "float32" (0..1): the first takes the plain names,
            the other "<name>_uint8" or "<name>_float".
        score_samples: importance samples of "score".

    Returns:
        name -> tf.types.experimental.ConcreteFunction, "serving_default" (which is "classify")
        among them.
    """
    found = {"generate": _trace_generate(model)}
    if hasattr(model, "images_of_codes"):
        found["decode"] = _trace_decode_class(model)
    elif hasattr(model, "images_of_encoding"):
        found["decode"] = _trace_decode(model)
    views = _trace_views(model, score_samples)
    for dtype in input_dtypes:
        suffix = "" if dtype == input_dtypes[0] else SUFFIXES[dtype]
        for name, view in views.items():
            found[f"{name}{suffix}"] = _trace_of_dtype(view, model, dtype)
    return {"serving_default": found["classify"], **found}


def code_size(model: SemiSupervisedVAE) -> int:
    """Return how many of the last numbers of "encode" are what "decode" takes; 0 without it."""
    if hasattr(model, "images_of_codes"):
        return int(getattr(model, "latent_dims", [getattr(model, "latent_dim", 0)])[-1])
    return model.encoding_size if hasattr(model, "images_of_encoding") else 0


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


def _trace_views(model: SemiSupervisedVAE, score_samples: int) -> dict:
    """Return name -> function of images as the model takes them, (n, *input_shape) in [0, 1]."""

    def classify(x):
        probabilities = tf.nn.softmax(model.predict_logits(x))
        classes = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {"probabilities": probabilities, "classes": classes}

    def encode(x):
        return {"codes": model.posterior_mean(x)}

    def reconstruct(x):
        return {"reconstructions": model.expected_image(x)}

    def score(x):
        block = min(score_samples, _SCORE_BLOCK)
        return {"log_likelihoods": model.bound_batch(x, block, score_samples)}

    def explain(x):
        logits = model.predict_logits(x)
        found = {"entropies": losses.entropy(logits)}
        if hasattr(model, "components"):
            _, log_var = model.components(x)
            prior_log_var = 2.0 * tf.math.log(model.prior.components().stddev())
            found["v_nats"] = losses.marginalize(prior_log_var - log_var, logits)
        return found

    def styles(x):
        return {"class_images": _in_every_class(model, x)}

    functions = [classify, encode, reconstruct, score, explain]
    if hasattr(model, "images_of_codes") or hasattr(model, "codes_in_every_class"):
        functions.append(styles)
    x = tf.TensorSpec([None, *model.example_shape], tf.float32, name="x")
    return {
        function.__name__: tf.function(function, input_signature=[x]).get_concrete_function()
        for function in functions
    }


def _trace_of_dtype(view, model: SemiSupervisedVAE, dtype: str):
    """Return a view of images that come as one dtype, checked and scaled."""

    shape = [None, *model.example_shape]

    def scaled(images):
        # Whoever calls a loaded signature checks its types, not its shapes.
        return view(scale_images(checked_images(tf.ensure_shape(images, shape))))

    images = tf.TensorSpec(shape, dtype, name="images")
    return tf.function(scaled, input_signature=[images]).get_concrete_function()


def _in_every_class(model: SemiSupervisedVAE, x: tf.Tensor) -> tf.Tensor:
    """Return the image of each class in the style of images x: (n, K, *input_shape)."""
    classes = model.num_classes
    if hasattr(model, "codes_in_every_class"):
        codes = tf.reshape(model.codes_in_every_class(x), [-1, model.latent_dim])
        images = model.images_of_encoding(codes)
    else:
        codes = repeat_rows(model.posterior_mean(x)[:, -code_size(model) :], classes)
        labels = tf.tile(tf.range(classes), [tf.shape(x)[0]])
        images = model.images_of_codes(codes, labels, _Alike(0, 0))
    return tf.reshape(images, [-1, classes, *model.example_shape])


def _trace_decode_class(model: SemiSupervisedVAE):
    def decode(codes, labels):
        _require_finite(codes)
        _require_labels(labels, model.num_classes)
        alike = _require(tf.shape(codes)[0] == tf.shape(labels)[0], "every code needs one label")
        with tf.control_dependencies([alike]):  # before an operation that complains of shapes
            codes = tf.identity(codes)
        return {"decoded_images": model.images_of_codes(codes, labels, _Alike(0, 0))}

    codes = tf.TensorSpec([None, code_size(model)], tf.float32, name="codes")
    labels = tf.TensorSpec([None], tf.int32, name="labels")
    return tf.function(decode, input_signature=[codes, labels]).get_concrete_function()


def _trace_decode(model: SemiSupervisedVAE):
    def decode(codes):
        _require_finite(codes)
        return {"decoded_images": model.images_of_encoding(codes)}

    codes = tf.TensorSpec([None, code_size(model)], tf.float32, name="codes")
    return tf.function(decode, input_signature=[codes]).get_concrete_function()


def _trace_generate(model: SemiSupervisedVAE):
    def generate(labels, seed):
        _require_labels(labels, model.num_classes)
        return {"generated_images": model.generate_batch(labels, seed)}

    labels = tf.TensorSpec([None], tf.int32, name="labels")
    seed = tf.TensorSpec([], tf.int32, name="seed")
    return tf.function(generate, input_signature=[labels, seed]).get_concrete_function()


def _require_finite(codes) -> None:
    _require(tf.reduce_all(tf.math.is_finite(codes)), "codes must be finite numbers")


def _require_labels(labels, num_classes: int) -> None:
    low, high = tf.reduce_min(labels), tf.reduce_max(labels)
    known = (low >= 0) & (high < num_classes) | tf.equal(tf.size(labels), 0)
    _require(known, f"labels must be in 0..{num_classes - 1}; found labels from", low, "to", high)


def _require(condition, *message) -> tf.Operation:
    # The bare op: tf.debugging.Assert wraps it in a branch, which costs time and converters.
    return tf.raw_ops.Assert(condition=condition, data=list(message))
