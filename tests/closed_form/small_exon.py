"""A small EXoN on vectors, the batch that it gets, and the softmax by numpy."""

import numpy as np

from tfssvae import layers, networks
from tfssvae.batch import make_batch
from tfssvae.models import EXoN
from tfssvae.noise import Noise

K, PIXELS, D = 3, 6, 2
MEAN = np.array([[0.0, 1.0], [3.0, -2.0], [-1.0, 4.0]])
VARIANCE = np.array([[1.0, 4.0], [0.5, 0.25], [2.0, 1.0]])
X = np.random.default_rng(0).uniform(size=(9, PIXELS)).astype("float32")
Y = np.array([0, 2, 1, -1])


def make(seed=0, **arguments):
    """EXoN on vectors, with weights far from their initial values."""
    prior = layers.GaussianMixturePrior(MEAN, VARIANCE)
    # Without batch normalisation, training and evaluation are the same function.
    classifier = networks.mlp((PIXELS,), (8,), K)
    model = EXoN(
        (PIXELS,), K, **{"hidden": (8,), "prior": prior, "classifier": classifier}, **arguments
    )
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.4)
    return model


def batch_of(model):
    data = ({"labelled": X[:4], "unlabelled": X[4:]}, Y)
    return make_batch(data, model.example_shape, K, Noise(1, 2))


def softmax(logits):
    values = np.exp(logits - logits.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)
