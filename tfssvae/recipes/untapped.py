"""Untapped's experiment: section 3 of Gemp, Mahadevan and Parente, settings of appendix D.

Every image of the digits 0 to 4 is labelled, no image of 5 to 9; images are rounded to 0 and 1, as
in the authors' code. 150 epochs of batches of 10,000 of the 60,000 images: here a sixth of the
labelled and of the unlabelled ones, and as many labels without image, every class as often, so that
any data set has six steps in an epoch. Adam 0.01, epsilon 1e-4, gradients clipped to -1 and 1.

Where the paper leaves a choice, it is that of the authors' code: L_x is the distance and not its
square, a label without image has a probability of 0.95, and the whole loss is multiplied by 0.1,
which counts beside clipping at 1 and an epsilon of 1e-4.

M2 is the same model without the reverse bound and without the distance of images, its
discriminative term: J_r and J_r^d of eq. 8.
"""

from functools import partial

import keras

from tfssvae.models.untapped import ALPHA_F, ALPHA_R
from tfssvae.recipes.table import Config, Row, Table

EPOCHS = 150
SHARE = 1 / 6  # 10,000 of the 60,000 images of MNIST
LEARNING_RATE = 0.01
LOSS_SCALE = 0.1
SOFTENED = 0.05  # taken from a label without image
LABELLED_CLASSES = [0, 1, 2, 3, 4]

# Cross-entropy on the digits 5 to 9, nats, mean of 10 trials.
_CROSS_ENTROPY = {"m2": 2.30, "untapped": 2.07}
_TITLES = {"m2": "M2", "untapped": "Labels untapped"}


def settings(reverse: bool, steps_per_epoch: int, epochs: int) -> Config:
    """Return the paper's settings of one model; nothing depends on the length of the run.

    Args:
        reverse: whether labels without images train the model in reverse.
        steps_per_epoch: steps in one pass over the unlabelled images.
        epochs: of the run.
    """
    optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-4, clipvalue=1.0)
    bounds = ["*_reconstruction", "*_kl_z", "*_prior_y", "*_kl_y", "unfeatured_*"]
    weights = {
        **dict.fromkeys(bounds, LOSS_SCALE),
        "classification": LOSS_SCALE * ALPHA_F,
        "labelled_distance": LOSS_SCALE * ALPHA_R if reverse else 0.0,
    }
    reversed_model = {"epsilon": SOFTENED, "image_distance": "euclidean"} if reverse else {}
    return {
        "method": "untapped",
        "model": {"weights": weights, **reversed_model},
        "default_weights": "paper",
        "learning_rate": LEARNING_RATE,
        "optimizer": keras.saving.serialize_keras_object(optimizer),
        "labelled": SHARE,
        "unlabelled": SHARE,
        "unfeatured": SHARE if reverse else 0,
    }


def _row(name: str) -> Row:
    reverse = name != "m2"
    return Row(
        name=name,
        title=_TITLES[name],
        labels_per_class=None,
        settings=partial(settings, reverse),
        published={"mnist": {"free_cross_entropy": _CROSS_ENTROPY[name]}},
        pair="m2" if reverse else None,
        data={
            "labelled_classes": LABELLED_CLASSES,
            "binarize": "round",
            "unfeatured": "classes" if reverse else None,
        },
    )


SECTION_3 = Table(
    title="Untapped, section 3: digits 5 to 9 without any label, their classes named afterwards",
    metrics={"free_cross_entropy": "nats", "free_accuracy": "%", "distinct_classes": "of 10"},
    rows=[_row(name) for name in _CROSS_ENTROPY],
    data={"mnist": {"name": "mnist"}},
    epochs=EPOCHS,
)
