"""Optimal interpolation, the regularizer of SHOT-VAE (Feng et al., 2021, eqs. 12 to 16)."""

from functools import partial
from typing import ClassVar

import keras
import tensorflow as tf

from tfssvae import losses
from tfssvae.checks import InputError, check_choice
from tfssvae.regularizers.base import term_of_rows
from tfssvae.regularizers.codes import code_of_unlabelled
from tfssvae.regularizers.mixing import mix_rows, mixing_weights, neighbours
from tfssvae.regularizers.warm_up import WarmUpRegularizer
from tfssvae.replicas import COMPARED, exchange

MATCHES = ("optimal", "random")


@keras.saving.register_keras_serializable("tfssvae")
class OptimalInterpolation(WarmUpRegularizer):
    """One term from the unlabelled images of any method that has a Gaussian code z, eq. 15.

    Each image is mixed with its optimal match, the image of the batch with the most similar
    posterior of z (never itself), and the class of the mixture is to be the mixture of the two
    predicted classes:

        `interpolation` = KL(q(y|x~) || (1 - lam) q(y|x_0) + lam q(y|x_1)),
        x~ = (1 - lam) x_0 + lam x_1,   lam ~ Beta(concentration, concentration)

    The two predictions are constants. The weight of the term rises as exp(-gamma (1 - t/steps)^2)
    (eq. 16). Large batches find better matches: the paper uses 512.

    Args:
        maximum: weight at the end of the warm-up.
        steps: optimizer steps of the warm-up; None keeps the weight at its maximum. The command
            line and `SSVAEClassifier` take the length of the run.
        gamma: of the warm-up.
        concentration: of lambda; 1 is the paper's uniform distribution, 2 the authors' code's.
        per_example: whether each image has a lambda of its own, or the batch one.
        match: "optimal", or "random", which makes it a mixup with KL.
        compared: on several replicas, "all" compares the rows of the whole batch, as one device
            would; "replica" those of each replica, without any exchange: matches are then
            less close.

    References:
        Feng et al., "SHOT-VAE: semi-supervised deep generative models with label-aware ELBO
        approximations", AAAI 2021, eqs. 12 to 16 and algorithm 1.
    """

    TERM: ClassVar[str] = "interpolation"

    def __init__(
        self,
        maximum: float = 1.0,
        steps: int | None = None,
        gamma: float = 5.0,
        concentration: float = 1.0,
        per_example: bool = True,
        match: str = "optimal",
        compared: str = "all",
        **kwargs,
    ):
        super().__init__(maximum, steps, gamma, **kwargs)
        self.match = check_choice(match, MATCHES, "match")
        self.compared = check_choice(compared, COMPARED, "compared")
        if not concentration > 0:
            raise InputError(f"concentration must be positive, got {concentration}")
        self.concentration, self.per_example = float(concentration), bool(per_example)

    def terms(self, model, batch, terms, training):
        """Return the divergence of each unlabelled image, eq. 15, in nats."""
        x_0 = batch.images[batch.num_labelled :]
        divergence = partial(self._divergence, model, batch, terms, training, x_0)
        return {self.TERM: term_of_rows(x_0, divergence)}

    def _divergence(self, model, batch, terms, training, x_0):
        lam = mixing_weights(
            batch.noise, batch.num_unlabelled, self.concentration, self.per_example
        )
        probs_0 = tf.nn.softmax(terms.logits[batch.num_labelled :])
        of_all, of_own = exchange(self.compared)
        all_x, all_probs = of_all(x_0), of_all(tf.stop_gradient(probs_0))
        if self.match == "optimal":
            code = [of_all(value) for value in code_of_unlabelled(model, batch, terms)]
            partner = of_own(losses.optimal_match(*code), batch.num_unlabelled)
            x_1, probs_1 = tf.gather(all_x, partner), tf.gather(all_probs, partner)
        else:
            partners = neighbours(all_x), neighbours(all_probs)
            x_1, probs_1 = (of_own(values, batch.num_unlabelled) for values in partners)
        logits = model.predict_logits(mix_rows(x_0, x_1, lam), training)
        return losses.optimal_interpolation(logits, probs_0, probs_1, lam)

    def get_config(self):
        names = ("concentration", "per_example", "match", "compared")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
