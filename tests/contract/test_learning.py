"""Every method learns from images without labels: on digits it beats its classifier alone."""

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.models.supervised import labels_alone
from tfssvae.training import train

EPOCHS, SEEDS, HIDDEN = 150, (0, 1, 2), (256, 256)


@pytest.fixture(scope="module")
def accuracies(name):
    """Test accuracy with and without the unlabelled images, for three draws of labels."""
    found = []
    for seed in SEEDS:
        data = tfssvae.data.load("digits", labels_per_class=10, seed=seed)
        method = tfssvae.METHODS[name]
        counts = len(data.labelled_indices), len(data.unlabelled_indices)
        steps = EPOCHS * -(-counts[1] // 200)
        weights = method.recommended_weights(*counts, 64, steps)
        model = method(data.input_shape, 10, hidden=HIDDEN, weights=weights, seed=seed)
        alone = labels_alone(model)
        for each, unlabelled, epochs in ((model, 200, EPOCHS), (alone, 0, steps)):
            each.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
            train(each, data, epochs, 100, unlabelled, jit_compile=False, verbose=0)
        test = data.test(500)
        found.append(
            [m.evaluate(test, verbose=0, return_dict=True)["accuracy"] for m in (model, alone)]
        )
    return np.array(found)


def test_unlabelled_images_help_in_every_draw(accuracies):
    assert (accuracies[:, 0] > accuracies[:, 1]).all(), accuracies


def test_the_gain_is_more_than_chance(accuracies):
    assert (accuracies[:, 0] - accuracies[:, 1]).mean() > 0.01, accuracies
