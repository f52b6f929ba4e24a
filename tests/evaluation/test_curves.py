"""Bound against accuracy, error over labels, hidden labels and analysis of variance."""

import numpy as np
import pytest

import tfssvae
from tfssvae import evaluation


def history(bounds, accuracies):
    return {"val_monitor/unlabelled_bound": bounds, "val_accuracy": accuracies}


def test_accuracy_is_drawn_against_the_bound_with_the_last_epoch_marked():
    runs = {
        "M2": history([-9.0, -7.0], [0.5, 0.7]),
        "_SHOT": history([-8.0, -6.0, -5.0], [0.6, 0.8, 0.9]),
    }
    (axes,) = evaluation.bound_accuracy_figure(runs).axes
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert lines[0] == [[-9.0, 0.5], [-7.0, 0.7]]
    assert lines[1] == [[-7.0, 0.7]]
    assert lines[3] == [[-5.0, 0.9]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["M2", "_SHOT"]
    (alone,) = evaluation.bound_accuracy_figure(runs["M2"]).axes
    assert alone.get_legend() is None
    assert len(alone.lines) == 2


def test_a_history_without_validation_is_refused():
    with pytest.raises(tfssvae.InputError, match="no val_accuracy"):
        evaluation.bound_accuracy_figure({"val_monitor/unlabelled_bound": [1.0]})


def test_the_error_over_labels_is_the_mean_of_the_runs():
    curves = {"m2": {500: [0.3, 0.5], 4000: [0.2]}, "empty": {}}
    (axes,) = evaluation.label_curve_figure(curves).axes
    line = axes.containers[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[500, 40.0], [4000, 20.0]])
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["m2"]
    with pytest.raises(tfssvae.InputError, match="no runs"):
        evaluation.label_curve_figure({"empty": {}})


def test_the_divergence_from_hidden_labels_equals_a_loop():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), size=6)
    probs[0] = [1.0, 0.0, 0.0, 0.0]
    labels = np.array([1, 0, -1, 3, 2, 2])
    expected = []
    for row, label in zip(probs, labels, strict=True):
        if label >= 0:
            p_hat = [1 - 0.01 if k == label else 0.01 / 3 for k in range(4)]
            expected.append(sum(q * np.log(q / p) for q, p in zip(row, p_hat, strict=True) if q))
    found = evaluation.hidden_label_divergence(probs, labels, epsilon=0.01)
    np.testing.assert_allclose(found, expected)
    assert found[0] == pytest.approx(np.log(3 / 0.01))


def test_hidden_labels_that_nobody_knows_are_refused():
    with pytest.raises(tfssvae.InputError, match="no hidden label"):
        evaluation.hidden_label_divergence(np.ones((2, 2)) / 2, [-1, -1])
    with pytest.raises(tfssvae.InputError, match="epsilon"):
        evaluation.hidden_label_divergence(np.ones((2, 2)) / 2, [0, 1], epsilon=0.0)


def test_the_report_on_hidden_labels_is_about_unlabelled_images():
    data = tfssvae.data.load("digits", labels_per_class=5, seed=0)
    model = tfssvae.models.M2(data.input_shape, 10, latent_dim=2, hidden=(8,))
    found = evaluation.hidden_label_report(model, data)
    rows = data.unlabelled_indices
    probs = model.predict(data.x_train[rows], verbose=0)
    assert found["error"] == pytest.approx((probs.argmax(1) != data.hidden_labels[rows]).mean())
    divergence = evaluation.hidden_label_divergence(probs, data.hidden_labels[rows])
    assert found["divergence"] == pytest.approx(divergence.mean(), rel=1e-5)


def test_an_analysis_of_variance_equals_the_formula():
    groups = {"a": [1.0, 2.0, 4.0], "b": [2.0, 3.0], "c": [7.0, 8.0, 9.0, 8.0]}
    values = np.concatenate([list(group) for group in groups.values()])
    between = sum(len(g) * (np.mean(g) - values.mean()) ** 2 for g in groups.values()) / 2
    within = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups.values()) / 6
    found = evaluation.one_way_anova(groups)
    assert found["f"] == pytest.approx(between / within)
    assert found["p"] < 0.01
    with pytest.raises(tfssvae.InputError, match="two settings"):
        evaluation.one_way_anova({"a": [1.0, 2.0]})
