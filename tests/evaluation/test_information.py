"""Entropy, information and bound of a data part, against float64 numpy and plain loops."""

import json

import numpy as np
import pytest

from tfssvae import evaluation, models
from tfssvae.checks import InputError
from tfssvae.core import FIXED_STEP
from tfssvae.models.supervised import labels_alone
from tfssvae.noise import Noise


def entropy_by_numpy(probs):
    probs = np.asarray(probs, "float64")
    return -np.sum(np.where(probs > 0, probs * np.log(np.maximum(probs, 1e-300)), 0), axis=-1)


@pytest.fixture(scope="module")
def probs():
    return np.random.default_rng(0).dirichlet(np.full(6, 0.2), 700).astype("float32")


def test_entropy_of_each_row_is_that_of_numpy(probs):
    found = evaluation.class_entropy(probs).numpy()
    np.testing.assert_allclose(found, entropy_by_numpy(probs), atol=2e-6)


def test_information_is_the_entropy_of_the_mean_less_the_mean_entropy(probs):
    expected = entropy_by_numpy(probs.mean(axis=0, dtype="float64"))
    expected -= entropy_by_numpy(probs).mean()
    assert float(evaluation.class_information(probs)) == pytest.approx(expected, abs=5e-6)


def test_information_is_the_mean_divergence_from_the_mean(probs):
    # I(y; x) = E KL(q(y|x) || q(y)), the other form of eq. 6.
    exact = probs.astype("float64")
    exact /= exact.sum(axis=1, keepdims=True)
    ratio = np.log(np.maximum(exact, 1e-300)) - np.log(exact.mean(axis=0))
    expected = np.mean(np.sum(np.where(exact > 0, exact * ratio, 0), axis=1))
    assert float(evaluation.class_information(probs)) == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize(
    ("probs", "entropy", "information"),
    [
        (np.eye(4), 0.0, np.log(4)),
        (np.full((4, 4), 0.25), np.log(4), 0.0),
        (np.tile([1.0, 0, 0, 0], (4, 1)), 0.0, 0.0),
    ],
)
def test_extremes(probs, entropy, information):
    report = evaluation.information_report(probs)
    assert report["entropy"] == pytest.approx(entropy, abs=1e-6)
    assert report["mutual_information"] == pytest.approx(information, abs=1e-6)


def test_report_is_ready_for_json(probs):
    bounds = np.array([-3.0, -1.0, -2.0], np.float32)
    report = evaluation.information_report(probs, bounds)
    assert json.loads(json.dumps(report)) == report
    assert report["entropy"] == pytest.approx(entropy_by_numpy(probs).mean(), abs=1e-6)
    assert report["unlabelled_bound"] == -2.0
    assert report["unlabelled_bound_std"] == pytest.approx(np.sqrt(2 / 3))
    assert set(evaluation.information_report(probs)) == {"entropy", "mutual_information"}


def test_bound_of_every_method_is_what_evaluate_reports(any_model, digits):
    any_model.compile()
    x, y = digits.x_test[:130], digits.y_test[:130]  # a ragged last batch
    bounds = evaluation.unlabelled_bound(any_model, x, batch_size=50)
    assert bounds.shape == (130,)
    logs = any_model.evaluate(x, y, batch_size=50, verbose=0, return_dict=True)
    assert bounds.mean() == pytest.approx(logs["monitor/unlabelled_bound"], rel=1e-5)
    # Each example counts for itself: not the mean, over and over.
    assert bounds.std() > 0.1
    alone = evaluation.unlabelled_bound(any_model, x[:50], batch_size=50)
    np.testing.assert_allclose(alone, bounds[:50], rtol=1e-5)


def test_bound_of_m2_is_the_sum_over_classes(m2, digits):
    x = digits.x_test[:5]
    bounds = evaluation.unlabelled_bound(m2, x)
    noise = Noise(m2.seed, FIXED_STEP)
    noise.normal((0, 3))  # that of the labelled rows, which are none
    noise = noise.normal((5, 3)).numpy().astype("float64")
    probs = m2.predict(x, verbose=0).astype("float64")
    pixels = (x / 255).astype("float64")
    for row in range(5):
        total = 0.0
        for k in range(10):
            y = np.eye(10, dtype="float32")[k : k + 1]
            q_z = m2.posterior_z(pixels[row : row + 1].astype("float32"), y)
            mean, deviation = (v.numpy()[0].astype("float64") for v in (q_z.mean(), q_z.stddev()))
            z = (mean + deviation * noise[row]).astype("float32")[None]
            logits = m2.decode(z, y).numpy()[0].astype("float64")
            log_p_x = np.sum(pixels[row] * logits - np.logaddexp(0, logits))
            kl = 0.5 * np.sum(mean**2 + deviation**2 - 1 - 2 * np.log(deviation))
            total += probs[row, k] * (log_p_x - kl + np.log(0.1) - np.log(probs[row, k]))
        assert bounds[row] == pytest.approx(total, rel=1e-5)


def test_weights_and_regularizers_do_not_change_the_bound(m2, digits):
    from tfssvae.regularizers import MIER

    other = models.METHODS["m2"](
        digits.input_shape, 10, 3, (12,), seed=1, weights={"*_kl_z": 9.0}, regularizers=[MIER()]
    )
    other.set_weights(m2.get_weights())
    x = digits.x_test[:20]
    np.testing.assert_allclose(
        evaluation.unlabelled_bound(other, x), evaluation.unlabelled_bound(m2, x), rtol=1e-6
    )


def test_bad_input_is_refused(m2, digits):
    for measure in (evaluation.class_entropy, evaluation.class_information):
        with pytest.raises(InputError, match=r"apply tf\.nn\.softmax"):
            measure(np.array([[2.0, 3.0]]))
    with pytest.raises(InputError, match=r"x must have shape \(n, 8, 8, 1\)"):
        evaluation.unlabelled_bound(m2, np.zeros((2, 4, 4, 1)))
    with pytest.raises(InputError, match="Supervised has no bound on unlabelled examples"):
        evaluation.unlabelled_bound(labels_alone(m2), digits.x_test[:2])
