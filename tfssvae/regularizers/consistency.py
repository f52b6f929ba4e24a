"""SCI: soft-label consistency interpolation, the classification loss of EXoN (eqs. 7 to 10)."""

import keras
import tensorflow as tf

from tfssvae import layers, losses
from tfssvae.checks import InputError
from tfssvae.regularizers.base import Regularizer
from tfssvae.regularizers.mixing import mix_rows, mixing_weights, neighbours
from tfssvae.replicas import of_all_replicas, of_this_replica
from tfssvae.schedules import exponential_ramp

LABELLED, UNLABELLED = "labelled_consistency", "unlabelled_consistency"
WARM_UP = 0.5  # of the run; the paper's is 4700 steps, more than many a run here has


@keras.saving.register_keras_serializable("tfssvae")
class SoftLabelConsistency(Regularizer):
    """Two terms for any method: the class of a mixed image is the mixture of the two classes.

    Each image is mixed with another one of the batch, labelled with labelled and unlabelled with
    unlabelled images, and the prediction for the mixture is compared with both soft labels (eq. 7):

        rho H(y_1, q(y|x~)) + (1 - rho) H(y_2, q(y|x~)),   x~ = rho x_1 + (1 - rho) x_2

    A soft label is the label where there is one, and otherwise the current classifier's
    prediction for the image as it is; no gradient passes through it. Both terms are means over
    their images, in nats.

    The weight of the labelled term is constant; that of the unlabelled one rises as
    exp(-gamma (1 - t/steps)^2) (table 7). They are 1 unless set: `models.exon.paper_consistency`
    has the paper's.

    Args:
        labelled: weight of `labelled_consistency`.
        unlabelled: weight of `unlabelled_consistency` at the end of the warm-up.
        steps: optimizer steps of the warm-up; None keeps the weight at its maximum. The command
            line and `SSVAEClassifier` take half of the run.
        gamma: of the warm-up.
        labelled_concentration: a of rho ~ Beta(a, a) for labelled images; near 0 hardly mixes.
        unlabelled_concentration: the same for unlabelled images.
        per_example: whether each image has a rho of its own, or the batch one, as published.
        augment: random changes of the images before they are mixed, in training: a layer called
            as `augment(images, noise=noise)` or, where its call takes no noise, as
            `augment(images, training=True)`. None takes the model's own, where that has not
            changed the whole batch before.

    References:
        An, Choi and Jeon, "EXoN: EXplainable encoder Network", eqs. 7 to 10 and appendix A.4.
    """

    def __init__(
        self,
        labelled: float = 1.0,
        unlabelled: float = 1.0,
        steps: int | None = None,
        gamma: float = 5.0,
        labelled_concentration: float = 0.1,
        unlabelled_concentration: float = 2.0,
        per_example: bool = False,
        augment: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not (labelled_concentration > 0 and unlabelled_concentration > 0):
            raise InputError(
                "concentrations must be positive, got "
                f"{labelled_concentration} and {unlabelled_concentration}"
            )
        self.labelled, self.unlabelled = float(labelled), float(unlabelled)
        self.steps, self.gamma = steps, float(gamma)
        self.labelled_concentration = float(labelled_concentration)
        self.unlabelled_concentration = float(unlabelled_concentration)
        self.per_example = bool(per_example)
        self.augment = augment

    def default_weights(self):
        """Return lambda_1 and lambda_2(t), eq. 10."""
        if self.steps:
            return self.recommended_weights(self.steps)
        return {LABELLED: self.labelled, UNLABELLED: self.unlabelled}

    def recommended_weights(self, steps):
        """Return lambda_1 and lambda_2(t), eq. 10, for a run of so many steps."""
        warm_up = self.steps or max(1, round(WARM_UP * steps))
        ramp = exponential_ramp(self.unlabelled, warm_up, self.gamma)
        return {LABELLED: self.labelled, UNLABELLED: ramp}

    def terms(self, model, batch, terms, training):
        """Return the cross-entropies of eq. 7 of labelled and of unlabelled images, in nats."""
        images = batch.images
        augment = self.augment
        if augment is None and not model.AUGMENTS_EVERYTHING:
            augment = model.augment
        if training and augment is not None:
            images = layers.augment_images(augment, images, batch.noise)
        known = tf.one_hot(batch.labels, model.num_classes)
        predicted = tf.stop_gradient(tf.nn.softmax(terms.logits))
        count = batch.num_labelled
        # A row of the labelled part that has no label after all has a predicted one.
        probs = tf.where(batch.labels[:, None] >= 0, known, predicted[:count])
        parts = [
            self._mixed(batch.noise, images[:count], probs, self.labelled_concentration),
            self._mixed(
                batch.noise, images[count:], predicted[count:], self.unlabelled_concentration
            ),
        ]
        # One pass: batch normalisation sees one mixed batch.
        logits = model.predict_logits(tf.concat([mixed for mixed, *_ in parts], axis=0), training)
        (_, *of_labelled), (_, *of_unlabelled) = parts
        return {
            LABELLED: losses.soft_label_consistency(logits[:count], *of_labelled),
            UNLABELLED: losses.soft_label_consistency(logits[count:], *of_unlabelled),
        }

    def _mixed(self, noise, x_1, probs_1, concentration):
        """Return mixed images, the soft labels of both partners and rho of each row."""
        rows = x_1.shape[0] if x_1.shape[0] is not None else tf.shape(x_1)[0]
        rho = mixing_weights(noise, rows, concentration, self.per_example)
        x_2, probs_2 = (
            of_this_replica(neighbours(of_all_replicas(values)), rows) for values in (x_1, probs_1)
        )
        return mix_rows(x_2, x_1, rho), probs_1, probs_2, rho

    def get_config(self):
        names = ("labelled", "unlabelled", "steps", "gamma", "per_example")
        names += ("labelled_concentration", "unlabelled_concentration")
        config = {name: getattr(self, name) for name in names}
        config["augment"] = keras.saving.serialize_keras_object(self.augment)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config):
        augment = keras.saving.deserialize_keras_object(config["augment"])
        return cls(**{**config, "augment": augment})
