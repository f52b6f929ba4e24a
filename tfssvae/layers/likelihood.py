"""What the decoder's output means: p(x|...) as a layer."""

import keras
import tensorflow as tf

from tfssvae import checks, losses


@keras.saving.register_keras_serializable("tfssvae")
class BernoulliLikelihood(keras.layers.Layer):
    """Each pixel is Bernoulli; the decoder gives its log-odds. Exact for binary images."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def log_prob(self, x, outputs) -> tf.Tensor:
        """Log-probability (batch,) of images x given the decoder's outputs of the same shape."""
        return losses.bernoulli_log_prob(x, outputs)

    def mean(self, outputs) -> tf.Tensor:
        """Expected image in [0, 1], of the shape of the outputs."""
        return tf.sigmoid(tf.cast(outputs, tf.float32))


@keras.saving.register_keras_serializable("tfssvae")
class GaussianLikelihood(keras.layers.Layer):
    """Each pixel is Gaussian around the sigmoid of the decoder's output.

    Args:
        variance: the variance of every pixel, on the scale of images in [0, 1].
        learn_variance: whether the variance is trained, starting from `variance`.
    """

    def __init__(self, variance: float = 0.1, learn_variance: bool = False, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if not variance > 0:
            raise checks.InputError(f"variance must be positive, got {variance}")
        self.variance = float(variance)
        self.learn_variance = bool(learn_variance)
        self.log_variance = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(float(tf.math.log(self.variance))),
            trainable=self.learn_variance,
            name="log_variance",
        )
        self.built = True

    def log_prob(self, x, outputs) -> tf.Tensor:
        """Log-density (batch,) of images x given the decoder's outputs of the same shape."""
        return losses.gaussian_log_prob(x, self.mean(outputs), tf.exp(self.log_variance))

    def mean(self, outputs) -> tf.Tensor:
        """Expected image in [0, 1], of the shape of the outputs."""
        return tf.sigmoid(tf.cast(outputs, tf.float32))

    def get_config(self):
        return {
            **super().get_config(),
            "variance": self.variance,
            "learn_variance": self.learn_variance,
        }


_LIKELIHOODS = {"bernoulli": BernoulliLikelihood, "gaussian": GaussianLikelihood}


def get_likelihood(identifier) -> keras.layers.Layer:
    """Return the likelihood of that name, or the layer itself.

    Args:
        identifier: "bernoulli", "gaussian", or a layer with `log_prob(x, outputs)` and
            `mean(outputs)`.

    Raises:
        InputError: the name is unknown.
    """
    if not isinstance(identifier, str):
        return identifier
    if identifier not in _LIKELIHOODS:
        raise checks.InputError(
            f"unknown likelihood {identifier!r}: {checks.closest(identifier, _LIKELIHOODS)}"
        )
    return _LIKELIHOODS[identifier]()
