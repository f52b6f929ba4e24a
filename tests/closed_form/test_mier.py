"""MIER's terms, gradients and bias against float64 numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import losses
from tfssvae.batch import make_batch
from tfssvae.checks import InputError
from tfssvae.core import Terms
from tfssvae.noise import Noise
from tfssvae.regularizers import MIER
from tfssvae.replicas import of_this_replica

K = 5


class Model:
    """All that the regularizer asks of a model."""

    num_classes = K


def batch_of(labelled, unlabelled, num_classes=K):
    x = {"labelled": np.zeros((labelled, 1)), "unlabelled": np.zeros((unlabelled, 1))}
    return make_batch((x, np.zeros(labelled, int)), (1,), num_classes, Noise(0, 0))


def terms_of(regularizer, logits, labelled=3, training=False):
    """The terms for unlabelled logits, behind some labelled ones that play no part."""
    others = tf.fill([labelled, K], 7.0) * tf.range(float(K))
    found = Terms(values={}, logits=tf.concat([others, logits], axis=0))
    return regularizer.terms(Model(), batch_of(labelled, logits.shape[0]), found, training)


def numpy_terms(logits):
    """-I(y; x) and mean H(q(y|x)), eq. 8, in float64."""
    logits = np.asarray(logits, "float64")
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)

    def entropy(q):
        return -np.sum(q * np.log(np.where(q > 0, q, 1)), axis=-1)

    return entropy(probs).mean() - entropy(probs.mean(0)), entropy(probs).mean()


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(40, K)).astype("float32") * 2


def test_terms_are_those_of_the_unlabelled_logits(logits):
    found = terms_of(MIER(), logits)
    information, entropy = numpy_terms(logits)
    np.testing.assert_allclose(found["mier_information"], [information], rtol=1e-5)
    assert found["mier_entropy"].shape == (40,)
    np.testing.assert_allclose(np.mean(found["mier_entropy"]), entropy, rtol=1e-5)


def test_weights_are_gamma_and_beta():
    model = tfssvae.models.M2((4,), 3, 2, (4,), regularizers=[MIER(beta=7.0, gamma=0.5)])
    assert model.term_weights["mier_entropy"] == 7.0
    assert model.term_weights["mier_information"] == 0.5
    model = tfssvae.models.M2(
        (4,), 3, 2, (4,), regularizers=[MIER()], weights={"mier_entropy": 2.0}
    )
    assert model.term_weights["mier_entropy"] == 2.0, "the user's weights win"
    assert model.term_weights["mier_information"] == 1.0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_gradients_agree_with_finite_differences(logits, momentum):
    regularizer = MIER(momentum=momentum)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        found = terms_of(regularizer, variable)
        loss = found["mier_information"][0] + 0.3 * tf.reduce_mean(found["mier_entropy"])
    gradient = tape.gradient(loss, variable).numpy()

    # With a running average the slope of H(q(y)) is taken at the average.
    probs = np.exp(np.float64(logits)) / np.exp(np.float64(logits)).sum(1, keepdims=True)
    average = momentum / K + (1 - momentum) * probs.mean(0)

    def value(changed):
        information, entropy = numpy_terms(changed)
        if momentum:
            q = np.exp(changed) / np.exp(changed).sum(1, keepdims=True)
            information = entropy - (-(q.mean(0) * np.log(average)).sum())
        return information + 0.3 * entropy

    for row, column in ((0, 0), (7, 3), (39, 4)):
        step = np.zeros_like(logits, "float64")
        step[row, column] = 1e-5
        expected = (value(logits + step) - value(logits - step)) / 2e-5
        assert gradient[row, column] == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_extreme_logits_keep_finite_gradients():
    logits = np.eye(K, dtype="float32")[[0, 1, 1, 2]] * 2000  # two classes never occur
    for momentum in (0.0, 0.5):
        regularizer = MIER(momentum=momentum)
        variable = tf.Variable(logits)
        for _ in range(200):  # the average of the dead classes underflows as a probability
            with tf.GradientTape() as tape:
                found = terms_of(regularizer, variable, training=True)
                loss = found["mier_information"][0] + tf.reduce_sum(found["mier_entropy"])
            assert np.isfinite(loss)
            assert np.isfinite(tape.gradient(loss, variable)).all()


def test_a_batch_without_unlabelled_images_adds_nothing_and_keeps_the_average(logits):
    for momentum in (0.0, 0.9):
        regularizer = MIER(momentum=momentum)
        terms_of(regularizer, logits, training=True)
        before = regularizer.get_weights()
        found = terms_of(regularizer, logits[:0], training=True)
        np.testing.assert_array_equal(found["mier_information"], [0.0])
        assert found["mier_entropy"].shape == (0,)
        for old, new in zip(before, regularizer.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_the_running_average_is_the_mean_of_many_batches():
    rng = np.random.default_rng(1)
    regularizer = MIER(momentum=0.99)
    for _ in range(1500):
        terms_of(
            regularizer, rng.normal(size=(8, K)).astype("float32") + np.arange(K), training=True
        )
    many = rng.normal(size=(200_000, K)) + np.arange(K)
    expected = (np.exp(many) / np.exp(many).sum(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(np.exp(regularizer.log_average), expected, rtol=0.08)
    (before,) = regularizer.get_weights()
    terms_of(regularizer, np.zeros((8, K), "float32"), training=False)
    # Evaluation leaves it alone.
    np.testing.assert_array_equal(regularizer.get_weights()[0], before)


def test_the_running_average_is_less_biased_than_the_batch():
    """Sure predictions of balanced classes: I(y; x) of the data is log K."""
    rng = np.random.default_rng(2)
    rows, truth = 10, np.log(K)
    per_batch, averaged = MIER(), MIER(momentum=0.98)
    found = {per_batch: [], averaged: []}
    for step in range(600):
        logits = 50 * np.eye(K, dtype="float32")[rng.integers(K, size=rows)]
        for regularizer, values in found.items():
            value = -terms_of(regularizer, logits, training=True)["mier_information"].numpy()[0]
            if step >= 200:
                values.append(value)
    bias_of_batch = truth - np.mean(found[per_batch])
    bias_of_average = truth - np.mean(found[averaged])
    assert bias_of_batch == pytest.approx((K - 1) / (2 * rows), rel=0.25)
    assert 0 <= bias_of_average < bias_of_batch / 10


def test_it_is_saved_with_its_average(tmp_path):
    data = tfssvae.data.load("digits", labels_per_class=5)
    model = tfssvae.models.M2((8, 8, 1), 10, 2, (8,), regularizers=[MIER(2.0, 3.0, 0.9)])
    model.compile("adam")
    model.fit(data.train(50, 500), epochs=2, verbose=0)
    model.save(tmp_path / "mier.keras")
    loaded = keras.saving.load_model(tmp_path / "mier.keras")
    (ours,), (theirs,) = model.regularizers, loaded.regularizers
    assert (theirs.beta, theirs.gamma, theirs.momentum) == (2.0, 3.0, 0.9)
    np.testing.assert_array_equal(ours.log_average, theirs.log_average)
    assert np.ptp(ours.log_average.numpy()) > 0
    assert loaded.term_weights["mier_entropy"] == 2.0


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_a_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(tfssvae.InputError, match="momentum"):
        MIER(momentum=momentum)


def test_each_replica_may_compare_its_own_rows(strategy):
    logits = tf.random.stateless_normal((8, K), [3, 4]) * 3.0

    def information(compared):
        regularizer = MIER(compared=compared)

        def of_replica():
            return -terms_of(regularizer, of_this_replica(logits), labelled=0)["mier_information"]

        found = strategy.experimental_local_results(strategy.run(of_replica))
        return [float(value[0]) for value in found]

    parts = [float(losses.mutual_information(part)) for part in (logits, logits[:4], logits[4:])]
    np.testing.assert_allclose(information("all"), [parts[0]] * 2, rtol=1e-5)
    np.testing.assert_allclose(information("replica"), parts[1:], rtol=1e-5)
    assert max(parts[1:]) != pytest.approx(parts[0], rel=1e-2)
    with pytest.raises(InputError, match="unknown compared 'none'"):
        MIER(compared="none")
