"""Layers of codes, their principal components, and how many of their units are in use."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tfssvae import evaluation, models, runs
from tfssvae.batch import make_batch
from tfssvae.checks import InputError
from tfssvae.core import FIXED_STEP
from tfssvae.noise import Noise

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def cagem(digits):
    weights = {"*_kl_z*": 0.25}
    model = models.METHODS["cagem"](
        digits.input_shape, 10, latent_dims=(4, 2), hidden=(16,), seed=2, weights=weights
    )
    model.compile()
    return model


def test_layers_are_the_columns_of_the_code_from_the_image_upwards(cagem, m2, digits):
    x = digits.x_test[:9]
    codes = cagem.encode(x)
    layers = evaluation.code_layers(cagem, x)
    assert list(layers) == ["z1", "z2"]
    np.testing.assert_array_equal(layers["z1"], codes[:, :4])
    np.testing.assert_array_equal(layers["z2"], codes[:, 4:])
    np.testing.assert_array_equal(evaluation.top_codes(cagem, x), codes[:, 4:])
    (only,) = evaluation.code_layers(m2, x).items()
    assert only[0] == "z"
    np.testing.assert_array_equal(only[1], m2.encode(x))


def test_principal_components_are_those_of_scikit_learn():
    codes = RNG.normal(size=(50, 4)) @ RNG.normal(size=(4, 4)) + 3
    found, expected = evaluation.principal_components(codes, 3), PCA(3).fit(codes)
    np.testing.assert_allclose(found.mean, expected.mean_)
    np.testing.assert_allclose(found.deviation, np.sqrt(expected.explained_variance_))
    np.testing.assert_allclose(found.share, expected.explained_variance_ratio_)
    signs = np.sign((found.axes * expected.components_).sum(1))
    np.testing.assert_allclose(found.axes, signs[:, None] * expected.components_, atol=1e-9)
    np.testing.assert_allclose(found.project(codes), expected.transform(codes) * signs, atol=1e-9)
    assert (found.axes[np.arange(3), np.abs(found.axes).argmax(1)] > 0).all()
    line = evaluation.principal_components(codes[:, :1], 1)
    np.testing.assert_allclose(line.deviation, codes[:, 0].std(ddof=1))


@pytest.mark.parametrize("codes", [np.zeros((1, 2)), np.zeros((5, 1)), np.zeros(5)])
def test_what_has_no_components_is_refused(codes):
    with pytest.raises(InputError, match="codes must have shape"):
        evaluation.principal_components(codes)


def test_a_unit_is_in_use_where_its_mean_varies():
    codes = RNG.normal(size=(20_000, 3)) * [0.05, 0.12, 2.0] + [5.0, 0.0, -1.0]
    assert evaluation.active_units(codes) == 2
    assert evaluation.active_units(codes, threshold=0.001) == 3
    assert evaluation.active_units(codes, threshold=1.0) == 1


def test_a_run_records_the_divergence_and_the_units_of_each_layer(cagem, m2, digits):
    measured = runs.measure(cagem, digits)
    x = digits.x_test
    batch = make_batch(x, (8, 8, 1), 10, Noise(cagem.seed, FIXED_STEP))
    terms = cagem.terms(batch, training=False).values
    for name, codes in evaluation.code_layers(cagem, x).items():
        expected = float(np.mean(terms[f"unlabelled_kl_{name}"]))  # without the weight of 0.25
        # z1 and z2 are drawn: of labelled and unlabelled rows with different noise.
        assert measured[f"kl_{name}"] == pytest.approx(expected, rel=0.05)
        assert measured[f"active_units_{name}"] == (codes.var(0) > 0.01).sum()
    assert evaluation.layer_report(m2, x, {}) == {}
