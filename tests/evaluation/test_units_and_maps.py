"""Worst mistakes, units in use, codes over their prior, and differences over seeds."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfssvae import evaluation, layers, models
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.evaluation.mistakes import Mistake


def test_mistakes_are_wrong_known_and_sorted_by_confidence():
    probs = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [1.0, 0.0], [0.2, 0.8]]
    labels = [1, 1, 0, 0, -1, 0]
    found = evaluation.worst_mistakes(probs, labels)
    assert [one.row for one in found] == [0, 2, 5, 3]  # equal ones in the order of their rows
    assert found[0] == Mistake(0, 1, 0, pytest.approx(0.9))
    assert [one.row for one in evaluation.worst_mistakes(probs, labels, most=2)] == [0, 2]
    few = evaluation.worst_mistakes(probs, labels, most=2, most_alike=1)
    assert [one.row for one in few] == [0, 2]
    few = evaluation.worst_mistakes([*probs, [0.0, 1.0]], [*labels, 0], most=3, most_alike=2)
    assert [one.row for one in few] == [6, 0, 2]  # one alike that is less sure gives way
    assert evaluation.worst_mistakes([[1.0, 0.0]], [0], most_alike=1) == []


@keras.saving.register_keras_serializable("test")
class Known(SemiSupervisedVAE):
    """q(z|x) = N(x scale, variance): what images make of its units has a closed form."""

    TERMS = {"unlabelled_kl_z": "nothing"}  # noqa: RUF012
    SCALE, VARIANCE = np.float32([2.0, 0.05, 0.0]), np.float32([0.25, 1.0, 0.5])

    def __init__(self, prior=None, **kwargs):
        super().__init__((3,), 2, **kwargs)
        self.prior = prior or layers.StandardNormalPrior(3)
        self.finish()

    def predict_logits(self, x, training=False):
        return x[:, :2]

    def terms(self, batch, training):
        mean = batch.images * self.SCALE
        q_z = layers.gaussian(mean, tf.math.log(self.VARIANCE) + tf.zeros_like(mean))
        nothing = tf.zeros(tf.shape(batch.images)[0])
        values = {"unlabelled_kl_z": nothing[batch.num_labelled :]}
        return Terms(values, self.predict_logits(batch.images), latents={"z": q_z})


X = np.float32(np.random.default_rng(0).random((40, 3)))


def test_units_are_used_as_their_posterior_says():
    usage = evaluation.unit_usage(Known(), X)
    assert list(usage) == ["z"]
    expected = (X * Known.SCALE).var(axis=0)
    np.testing.assert_allclose(usage["z"].variance, expected, rtol=1e-5, atol=1e-9)
    assert usage["z"].active == 1  # the second has a variance of 0.05^2 / 12
    np.testing.assert_allclose(usage["z"].v_nat, -np.log(Known.VARIANCE), rtol=1e-5, atol=1e-6)
    first, second = evaluation.unit_usage_figure(usage).axes
    assert first.get_title() == "z: 1 of 3 units active (variance above 0.01)"
    assert second.get_title() == "z: 1 of 3 units above 1 nat"
    heights = [bar.get_height() for bar in second.patches]
    np.testing.assert_allclose(heights, np.sort(-np.log(Known.VARIANCE))[::-1], atol=1e-6)


def test_only_a_standard_normal_prior_has_a_v_nat():
    assert evaluation.unit_usage(Known(layers.BoxPrior(3)), X)["z"].v_nat is None


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("lvae", {"latent_dims": (4, 3)}, {"z1": None, "z2": 3}),
        ("m1m2", {"latent_dim": 4, "style_dim": 2}, {"z": 4, "z2": 2}),
        ("parted_vae", {"latent_dim": 3, "style_dim": 2, "backbone": "mlp"}, {"z": 2}),
    ],
)
def test_v_nat_of_the_layers_of_a_method(name, arguments, expected):
    hidden = (4, 4) if name == "lvae" else (4,)
    model = models.METHODS[name]((4, 4, 1), 2, hidden=hidden, **arguments)
    usage = evaluation.unit_usage(model, np.random.default_rng(1).random((5, 4, 4, 1)))
    found = {key: None if u.v_nat is None else len(u.v_nat) for key, u in usage.items()}
    assert found == expected


def small(name, **arguments):
    return models.METHODS[name]((4, 4, 1), 2, hidden=(4,), seed=3, **arguments)


def test_draws_are_those_of_the_prior():
    normal = evaluation.prior_codes(small("m2", latent_dim=3), 4000)
    assert scipy.stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    box = small("untapped", latent_dim=2)
    draws = evaluation.prior_codes(box, 4000)
    low, high = float(box.flow.low), float(box.flow.high)
    assert scipy.stats.kstest(draws.ravel(), "uniform", (low, high - low)).pvalue > 1e-3
    mean = np.array([[-5.0, 0.0], [5.0, 0.0]])
    prior = layers.GaussianMixturePrior(mean, np.full((2, 2), 0.25))
    exon = small("exon", prior=prior, filters=(2,))
    left, right = (side(evaluation.prior_codes(exon, 4000)) for side in (to_left, to_right))
    assert len(left) + len(right) == 4000
    assert abs(len(left) - 2000) < 150
    np.testing.assert_allclose(left.mean(axis=0), mean[0], atol=0.05)
    np.testing.assert_allclose(right.std(axis=0), 0.5, atol=0.03)
    assert evaluation.prior_codes(small("m1m2", latent_dim=3, style_dim=2), 7).shape == (7, 3)


def to_left(codes):
    return codes[codes[:, 0] < 0]


def to_right(codes):
    return codes[codes[:, 0] >= 0]


def test_codes_lie_over_the_prior_in_one_plane():
    rng = np.random.default_rng(0)
    codes, prior = rng.normal(size=(30, 4)) * [3, 1, 0.1, 2], rng.normal(size=(50, 4))
    figure = evaluation.latent_map_figure(codes, prior, np.arange(30) % 2, ["a", "b"])
    (axes,) = figure.axes
    below, above = (part.get_offsets() for part in axes.collections)
    axis = evaluation.principal_components(codes)
    np.testing.assert_allclose(above, axis.project(codes))
    np.testing.assert_allclose(below, (prior - codes.mean(axis=0)) @ axis.axes.T)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "prior"]
    plane = evaluation.latent_map_figure(codes[:, :2], None, np.full(30, -1), ["a", "b"])
    np.testing.assert_allclose(plane.axes[0].collections[0].get_offsets(), codes[:, :2])
    with pytest.raises(InputError, match="d at least 2"):
        evaluation.latent_map_figure(codes[:, :1], None, np.zeros(30, int), ["a", "b"])


def test_a_paired_difference_is_that_of_the_paired_t_test():
    one, two = {0: 1.0, 1: 2.0, 2: 4.0, 9: 100.0}, {2: 5.0, 1: 2.5, 0: 1.2, 4: -100.0}
    found = evaluation.paired_difference(one, two)
    test = scipy.stats.ttest_rel([1.2, 2.5, 5.0], [1.0, 2.0, 4.0])
    low, high = test.confidence_interval(0.95)
    assert found.seeds == (0, 1, 2)
    assert found.interval == pytest.approx((low, high))
    assert found.mean / found.standard_error == pytest.approx(test.statistic)
    assert evaluation.paired_difference({0: 1.0}, {1: 1.0}) is None
    alone = evaluation.paired_difference({0: 1.0}, {0: 3.0})
    assert (alone.mean, alone.standard_error, alone.interval) == (2.0, None, None)
    same = evaluation.paired_difference({0: 1.0, 1: 2.0}, {0: 2.0, 1: 3.0})
    assert same.interval == (1.0, 1.0)


def test_runs_of_one_label_have_one_colour_and_one_name():
    logs = {"loss": [2.0, 1.0], "val_loss": [3.0, 2.0]}
    history = {"a": [logs, {"loss": [2.5, 1.5]}], "b": [logs]}
    assert evaluation.history_key(history) == ["a", "a, validation", "b", "b, validation"]
    (axes,) = evaluation.quantity_figure(history, "loss").axes
    colours = [line.get_color() for line in axes.get_lines()]
    assert colours == ["C0", "C0", "C0", "C1", "C1"]
    texts = evaluation.history_key_figure(history).legends[0].get_texts()
    assert [text.get_text() for text in texts] == ["a", "a, validation", "b", "b, validation"]
    legend = evaluation.history_figure(history).legends[0].get_texts()
    assert [text.get_text() for text in legend] == ["a", "a, validation", "b", "b, validation"]
    with pytest.raises(InputError, match="no accuracy"):
        evaluation.quantity_figure(history, "accuracy")


def test_one_line_joins_the_runs_of_a_seed():
    figure = evaluation.seeds_figure({"a": {0: 1.0, 1: 3.0}, "b": {1: 5.0}}, "error, %")
    lines = [line.get_xydata() for line in figure.axes[0].get_lines()]
    np.testing.assert_array_equal(lines[0], [[0, 1], [1, np.nan]])
    np.testing.assert_array_equal(lines[1], [[0, 3], [1, 5]])
    means = [line[0, 1] for line in lines[2:]]
    assert means == [2.0, 5.0]
    with pytest.raises(InputError, match="no runs"):
        evaluation.seeds_figure({"a": {}}, "error")
