"""Training on images in memory and in files, which must not differ."""

import keras
import numpy as np

import tfssvae
from tfssvae.training import train


def assert_same_training(datasets, driver, resident):
    """An epoch of each data set ends with equal weights, bit by bit.

    Args:
        datasets: the same data, held in two ways.
        driver: "fit", or anything else for the compiled loop.
        resident: where the compiled loop holds the images, as in `training.train`.
    """
    weights = []
    for data in datasets:
        model = tfssvae.models.M2(data.input_shape, data.num_classes, 2, (8,), seed=1)
        model.compile(keras.optimizers.Adam(1e-3))
        if driver == "fit":
            model.fit(data.train(20, 100), epochs=1, verbose=0)
        else:
            train(model, data, 1, 20, 100, resident=resident, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
