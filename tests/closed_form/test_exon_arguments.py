"""EXoN: its default priors, weights and networks are the paper's, and what it refuses."""

import numpy as np
import pytest

import tfssvae
from tests.closed_form.small_exon import MEAN, PIXELS, VARIANCE, K, make
from tfssvae import layers, networks
from tfssvae.models import EXoN
from tfssvae.models.exon import classification_weight, default_prior, paper_consistency

SMALL = {"hidden": (8,), "filters": (4,), "dropout": 0.0}


def test_default_priors_are_the_papers():
    np.testing.assert_allclose(default_prior(10).mean, layers.circle_layout(10, 4.0)[0], rtol=1e-6)
    prior = default_prior(10, 256)
    np.testing.assert_allclose(prior.mean, layers.one_hot_layout(10, 256)[0])
    with pytest.raises(tfssvae.InputError, match="not in 5"):
        EXoN((8, 8, 1), 10, latent_dim=5)


def test_the_priors_weights_are_the_class_prior():
    prior = layers.GaussianMixturePrior(MEAN, VARIANCE, [0.5, 0.3, 0.2])
    model = EXoN((PIXELS,), K, prior=prior, **SMALL)
    np.testing.assert_allclose(np.exp(model.log_class_prior()), [0.5, 0.3, 0.2], rtol=1e-5)
    copy = EXoN.from_config(model.get_config())
    np.testing.assert_allclose(np.exp(copy.log_class_prior()), [0.5, 0.3, 0.2], rtol=1e-5)
    assert copy.latent_dim == 2
    for other in ([0.2, 0.3, 0.5], "labels"):
        with pytest.raises(tfssvae.InputError, match="leave one out"):
            EXoN((PIXELS,), K, prior=prior, class_prior=other, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": 3}, "in 3 dimensions"),
        ({"beta": 0.0}, "beta must be a positive number"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make(**arguments)
    with pytest.raises(tfssvae.InputError, match="one per class"):
        EXoN((PIXELS,), K + 1, prior=layers.GaussianMixturePrior(MEAN, VARIANCE))


def test_published_weights():
    # Eq. 10 times beta, as the authors' code has it, for 32 labelled and 96 unlabelled images, in
    # units of a batch of 128 means.
    beta, lambda_1 = 0.25, 6000.0
    bound, cross_entropy, labelled, unlabelled = np.random.default_rng(1).uniform(1, 2, size=4)
    published = 128 * bound + 32 * cross_entropy
    published += lambda_1 / beta * 32 * (cross_entropy + labelled)
    published += lambda_1 / beta * 96 * unlabelled
    weights = paper_consistency(beta, lambda_1).default_weights()
    ours = bound + classification_weight(beta, lambda_1) * cross_entropy
    ours += weights["labelled_consistency"] * labelled
    ours += weights["unlabelled_consistency"] * unlabelled
    assert ours == pytest.approx(published / 128)


def test_weights_follow_beta_unless_set():
    model = EXoN((PIXELS,), K, prior=layers.GaussianMixturePrior(MEAN, VARIANCE), beta=50.0)
    (consistency,) = model.regularizers
    assert model.weight_settings == {"classification": classification_weight(50.0)}
    assert consistency.default_weights() == paper_consistency(50.0).default_weights()
    revived = EXoN.from_config(model.get_config())
    assert revived.weight_settings == model.weight_settings
    chosen = EXoN((PIXELS,), K, prior=model.prior, beta=50.0, weights={"*": 2.0}, regularizers=[])
    assert chosen.regularizers == []
    assert set(chosen.term_weights.values()) == {2.0}


def test_the_recommended_code_is_costly_until_classes_have_their_places():
    def ramp(pixels):
        return EXoN.recommended_weights(100, 900, pixels, steps=1000)["kl_z"]

    assert [float(ramp(3072)(step)) for step in (0, 200, 400, 1000)] == [20.0, 10.5, 1.0, 1.0]
    assert float(ramp(784)(0)) == pytest.approx(19.6)
    assert EXoN.recommended_weights(100, 900, 100, steps=1000) == {}


def test_classes_in_one_place_are_reported(caplog):
    EXoN((PIXELS,), 3, prior=layers.GaussianMixturePrior([[0.0, 1.0], [4.0, 1.0], [4.0, 1.0]], 1.0))
    assert "components 1 and 2 overlap by 1.00" in caplog.text
    caplog.clear()
    EXoN((PIXELS,), 3)
    assert not caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"beta": float("inf")}, "beta must be a positive number"),
        ({"beta": "a"}, "beta must be a positive number"),
        ({"beta": 3.0, "likelihood": "bernoulli"}, "leave beta or likelihood out"),
        ({"learn_beta": True, "likelihood": "bernoulli"}, "leave beta or likelihood out"),
        ({"prior": "circle"}, "layers.GaussianMixturePrior"),
        ({"prior": layers.circle_layout(K)}, "layers.GaussianMixturePrior"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(tfssvae.InputError, match=words):
        EXoN((PIXELS,), K, **arguments)


def test_the_networks_have_the_papers_sizes():
    def weights(network):
        return sum(int(np.prod(v.shape)) for v in network.trainable_variables)

    # Kernels, two numbers of each normalisation, biases of the last layer.
    convolutions = 25 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64 + 9 * 64 * 128 + 2 * 128
    head = 128 * 64 + 2 * 64 + 64 * 10 + 10
    assert weights(networks.exon_classifier((28, 28, 1), 10)) == convolutions + head
    wide = networks.exon_wide_classifier((32, 32, 3), 10)
    assert weights(wide) == pytest.approx(4.5e6, rel=0.02)  # table 1
    encoder = networks.exon_encoder((32, 32, 3))
    assert encoder.output_shape == (None, 1024)
    assert encoder.layers[-3].input.shape[1:] == (4 * 4 * 256,)
    decoder = networks.exon_decoder(256, (32, 32, 3))
    assert decoder.output_shape == (None, 32, 32, 3)
    assert networks.exon_decoder(8, (28, 28, 1), (16, 8, 8)).output_shape == (None, 28, 28, 1)
    model = EXoN((28, 28, 1), 10)
    shapes = [tuple(v.shape) for v in model.encoder.trainable_variables[::2]]
    assert shapes == [(784, 256), (256, 128)]
    shapes = [tuple(v.shape) for v in model.decoder.trainable_variables[::2]]
    assert shapes == [(2, 128), (128, 256), (256, 784)]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (8, 8, 1), (5, 3, 2), (1, 1, 1), (7,)])
def test_the_default_classifier_takes_any_shape(shape):
    network = networks.exon_classifier(shape, 4)
    assert network(np.zeros((2, *shape), "float32")).shape == (2, 4)
