"""What the tests of evaluation share: the digits, and a small model of every method."""

import pytest

import tfssvae
from tfssvae import data, models

SMALL = {"latent_dim": 4, "hidden": (24, 16)}
SMALL_OF = {
    "m1m2": {**SMALL, "style_dim": 3, "style_hidden": (16,)},
    "adgm": {**SMALL, "auxiliary_dim": 4},
    "sdgm": {**SMALL, "auxiliary_dim": 4, "batch_norm": True},
    "lvae": {"latent_dims": (4, 3), "hidden": (24, 16)},
    "exon": {"latent_dim": 2, "hidden": (24, 16), "filters": (4, 8)},
    "cagem": {"latent_dims": (4, 3), "hidden": (24, 16)},
    "parted_vae": {**SMALL, "style_dim": 3, "backbone": "mlp"},
}


@pytest.fixture(scope="session")
def digits():
    return data.load("digits", labels_per_class=10)


@pytest.fixture(scope="session", params=sorted(tfssvae.METHODS))
def any_model(request, digits):
    """A small model of every method, with weights large enough for its classes to differ."""
    method = models.METHODS[request.param]
    model = method(digits.input_shape, 10, **SMALL_OF.get(request.param, SMALL), seed=3)
    model.set_weights([2 * value for value in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def m2(digits):
    model = models.METHODS["m2"](digits.input_shape, 10, latent_dim=3, hidden=(12,), seed=1)
    model.set_weights([2 * value for value in model.get_weights()])
    return model
