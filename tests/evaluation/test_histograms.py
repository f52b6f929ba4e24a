"""Histograms: their bars count what numpy counts."""

import numpy as np
import pytest

from tfssvae import evaluation
from tfssvae.checks import InputError


def outline(patch):
    """The heights of the bins of an outlined histogram."""
    corners = patch.get_xy()
    return {round(x, 6): y for x, y in corners if y >= 1}


def test_right_and_wrong_examples_are_counted_apart():
    probs = np.array([[0.97, 0.03], [0.98, 0.02], [0.6, 0.4], [0.5, 0.5]], np.float32)
    labels = [0, 1, 0, -1]
    figure = evaluation.entropy_figure(probs, labels)
    axes = figure.axes[0]
    groups = {patch.get_label(): patch for patch in axes.patches}
    assert list(groups) == ["right (2)", "wrong (1)", "no label (1)"]
    entropy = -np.sum(probs * np.log(probs), axis=1)
    width = np.log(2) / 40
    for name, rows in (("right (2)", [0, 2]), ("wrong (1)", [1]), ("no label (1)", [3])):
        bins = np.minimum(entropy[rows] // width, 39)
        edges = {round(edge * width, 6) for bin_ in bins for edge in (bin_, bin_ + 1)}
        assert set(outline(groups[name])) == edges
        assert set(outline(groups[name]).values()) == {1}
    assert axes.get_xlim() == (0, np.log(2))
    (mean,) = axes.get_lines()
    assert mean.get_xdata()[0] == pytest.approx(entropy.mean(), abs=1e-6)
    assert mean.get_label() == f"mean {entropy.mean():.4g} nats"


def test_without_labels_there_is_one_group():
    figure = evaluation.entropy_figure(np.full((3, 4), 0.25))
    (group,) = figure.axes[0].patches
    assert group.get_label() == "examples (3)"
    assert outline(group)[round(np.log(4), 6)] == 3  # rounding does not push it over the edge


def test_bounds_are_counted_and_their_spread_is_shown():
    bounds = np.random.default_rng(0).normal(-100, 5, 300)
    figure = evaluation.bound_figure(bounds)
    axes = figure.axes[0]
    heights = [patch.get_height() for patch in axes.patches[:40]]
    np.testing.assert_array_equal(heights, np.histogram(bounds, 40)[0])
    span = axes.patches[40].get_extents().transformed(axes.transData.inverted())
    assert (span.x0, span.x1) == pytest.approx(
        (bounds.mean() - bounds.std(), bounds.mean() + bounds.std())
    )
    assert [line.get_label() for line in axes.get_lines()] == [
        f"mean {bounds.mean():.4g} nats",
        f"± {bounds.std():.4g} (deviation)",
    ]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="labels must be in"):
        evaluation.entropy_figure(np.eye(2), [0, 2])
    with pytest.raises(InputError, match="same length"):
        evaluation.entropy_figure(np.eye(2), [0])
    for bounds in ([], [np.nan], [[1.0]]):
        with pytest.raises(InputError, match="bounds must be finite numbers"):
            evaluation.bound_figure(bounds)
