"""t-SNE and its picture."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from tfssvae import evaluation
from tfssvae.checks import InputError


@pytest.fixture(scope="module")
def groups():
    """Three far groups of 20 points in 8 dimensions."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    return 20.0 * np.eye(3, 8)[labels] + rng.normal(size=(60, 8)), labels


def test_neighbours_stay_neighbours(groups):
    features, labels = groups
    points = evaluation.tsne(features, seed=1)
    assert points.dtype == np.float32
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    nearest = np.argsort(distance, axis=1)[:, 1:6]
    assert (labels[nearest] == labels[:, None]).all()


def test_the_map_is_a_function_of_features_and_seed(groups):
    features = groups[0][:, :1]  # of one column: the start is drawn from the seed
    first, again, other = (evaluation.tsne(features, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def test_three_points_are_enough():
    assert np.isfinite(evaluation.tsne(np.eye(3))).all()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((2001, 2)), "3 to 2000 rows"),
        (np.eye(2), "3 to 2000 rows"),
        (np.zeros(5), "finite numbers"),
        (np.full((4, 2), np.nan), "finite numbers"),
        (np.ones((4, 2)), "alike in every row"),
    ],
)
def test_bad_features_are_refused(features, message):
    with pytest.raises(InputError, match=message):
        evaluation.tsne(features)


def test_rows_are_chosen_without_repetition_by_the_seed():
    rows = evaluation.choose_rows(10_000, 2000, seed=3)
    assert len(set(rows.tolist())) == 2000
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] < 50  # from the whole range
    assert 9950 < rows[-1] < 10_000
    np.testing.assert_array_equal(rows, evaluation.choose_rows(10_000, 2000, seed=3))
    assert (rows != evaluation.choose_rows(10_000, 2000, seed=4)).any()
    assert evaluation.choose_rows(2000).tolist() == list(range(2000))


def drawn(figure):
    legend = figure.legends[0]
    colours = [handle.get_color() for handle in legend.legend_handles]
    return dict(zip([text.get_text() for text in legend.get_texts()], colours, strict=True))


def test_points_have_the_colours_of_the_legend():
    points = np.array([[0, 1], [2, 3], [4, 5], [6, 7.0]])
    names = ["_cat", "$dog_{$", "none of it"]
    figure = evaluation.embedding_figure(points, [1, 0, 1, -1], names, title="a $title$")
    dots = figure.axes[0].collections[0]
    np.testing.assert_array_equal(dots.get_offsets(), points)
    legend = drawn(figure)
    assert list(legend) == [*names, "no label"]
    expected = [legend[name] for name in ("$dog_{$", "_cat", "$dog_{$", "no label")]
    np.testing.assert_allclose(dots.get_facecolors(), [to_rgba(colour) for colour in expected])
    assert figure.axes[0].get_title() == "a $title$"
    evaluation.figure_pixels(figure)  # a "$" is not taken for a formula


@pytest.mark.parametrize("number", [10, 20, 100])
def test_every_class_has_a_colour_of_its_own_and_a_name_that_can_be_read(number):
    names = [f"class {k}" for k in range(number)]
    figure = evaluation.embedding_figure(np.zeros((2, 2)), [0, 1], names)
    legend = drawn(figure)
    assert list(legend) == names  # nothing without a label: no entry for it
    assert len({to_rgba(colour) for colour in legend.values()}) == number
    evaluation.figure_pixels(figure)
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.legends[0].get_texts()]
    picture = figure.axes[0].get_window_extent(renderer)
    for index, box in enumerate(boxes):
        assert box.x1 <= figure.bbox.width
        assert box.y0 >= 0
        assert not box.overlaps(picture)
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_a_picture_whose_parts_do_not_fit_is_refused():
    with pytest.raises(InputError, match=r"points must have shape \(n, 2\)"):
        evaluation.embedding_figure(np.zeros((2, 3)), [0, 1], ["a", "b"])
    with pytest.raises(InputError, match="points and labels must have the same length"):
        evaluation.embedding_figure(np.zeros((2, 2)), [0], ["a", "b"])
    with pytest.raises(InputError, match="labels must be in"):
        evaluation.embedding_figure(np.zeros((2, 2)), [0, 2], ["a", "b"])
