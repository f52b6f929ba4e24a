"""MIER: mutual-information and entropy regularisation of the class (Hasan Khan et al.).

The unlabelled bound contains -KL(q(y|x) || p(y)), whose mean over the data is
-I(y; x) - KL(q(y) || p(y)) (eq. 6, appendix B): raising the bound lowers the information between
class and image, and its H(q(y|x)) (eq. 3) blurs the classifier. MIER adds both back (eq. 7):

    M(x) = U(x) + gamma I(y; x) - beta H(q(y|x))
    I(y; x) = H(q(y)) - E H(q(y|x)),  q(y) = E q(y|x)                                    (eq. 8)
"""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfssvae import checks, losses
from tfssvae.regularizers.base import Regularizer
from tfssvae.replicas import COMPARED, exchange


@keras.saving.register_keras_serializable("tfssvae")
class MIER(Regularizer):
    """Two terms from the unlabelled images of any method, eqs. 7 to 9.

    `mier_information` is -I(y; x), of weight gamma, and `mier_entropy` is H(q(y|x)), of weight
    beta; with both weights 0 the loss is the unregularised one.

    q(y) is the mean of the batch, as in the paper. The entropy of a mean of few rows is too low:
    by about (K - 1) / (2 U) nats where U unlabelled rows are sure of their class. A running
    average over batches is less biased: `momentum` of it is kept at each step, which averages over
    about 1 / (1 - momentum) batches. The value is then the entropy of the average, and the
    gradient is the one with respect to this batch's mean, at the average.

    Args:
        beta: weight of the entropy.
        gamma: weight of the mutual information.
        momentum: of the running average of q(y), in [0, 1); 0 is the batch alone.
        compared: on several replicas, "all" compares the rows of the whole batch, as one device
            would; "replica" those of each replica, without any exchange: q(y) is then the
            mean of fewer rows, and I(y; x) smaller.

    References:
        Hasan Khan et al., "Mutual information and entropy regularisation for semi-supervised
        variational autoencoders", eqs. 5 to 9.
    """

    def __init__(
        self,
        beta: float = 5.0,
        gamma: float = 1.0,
        momentum: float = 0.0,
        compared: str = "all",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.compared = checks.check_choice(compared, COMPARED, "compared")
        if not 0.0 <= momentum < 1.0:
            raise checks.InputError(f"momentum must be in [0, 1), got {momentum}")
        self.beta, self.gamma, self.momentum = float(beta), float(gamma), float(momentum)

    def build(self, num_classes: int):
        if self.momentum:
            self.log_average = self.add_weight(
                shape=(num_classes,),
                initializer=keras.initializers.Constant(-math.log(num_classes)),
                trainable=False,
                aggregation="mean",  # it is the same on every replica
                name="log_average",
            )
        self.built = True

    def default_weights(self):
        """Return gamma and beta."""
        return {"mier_information": self.gamma, "mier_entropy": self.beta}

    def terms(self, model, batch, terms, training):
        """Return -I(y; x), one value, and H(q(y|x)) of each unlabelled image, in nats."""
        if not self.built:
            self.build(model.num_classes)
        logits = terms.logits[batch.num_labelled :]
        of_all, _ = exchange(self.compared)
        log_probs = of_all(tf.nn.log_softmax(logits))
        rows = tf.cast(tf.shape(log_probs)[0], tf.float32)
        log_mean = tf.reduce_logsumexp(log_probs, axis=0) - tf.math.log(rows)
        entropy_of_mean = losses.entropy(log_mean[None])[0]
        if self.momentum:
            entropy_of_mean = self._entropy_of_average(log_mean, rows, training)
        information = entropy_of_mean - tf.reduce_mean(losses.entropy(log_probs))
        return {
            # A batch without unlabelled images informs about nothing.
            "mier_information": -tf.where(rows > 0, information, 0.0)[None],
            "mier_entropy": losses.entropy(logits),
        }

    def _entropy_of_average(self, log_mean, rows, training) -> tf.Tensor:
        """Return H of the running average, with the gradient that it gives this batch's mean."""
        old = tf.convert_to_tensor(self.log_average)
        new = tf.stop_gradient(log_mean) + math.log(1.0 - self.momentum)
        average = tf.math.log_softmax(tfp.math.log_add_exp(old + math.log(self.momentum), new))
        if training:
            self.log_average.assign(tf.where(rows > 0, average, old))
        # dH/dq_k = -(log q_k + 1); the probabilities of a batch add up to 1 whatever they are.
        probs = tf.exp(log_mean)
        slope = tf.reduce_sum((probs - tf.stop_gradient(probs)) * average)
        return losses.entropy(average[None])[0] - slope

    def get_config(self):
        names = ("beta", "gamma", "momentum", "compared")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
