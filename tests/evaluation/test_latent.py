"""What units of a latent space say: V-nat, subspaces, divergences and pictures."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfssvae import evaluation, layers, models
from tfssvae.checks import InputError
from tfssvae.evaluation.images import as_pictures

K, D = 3, 2
NAMES = ["zero", "one", "$two"]
MEAN = np.array([[0.0, 1.0], [6.0, -4.0], [-5.0, 4.0]])
VARIANCE = np.array([[1.0, 4.0], [0.5, 0.25], [2.0, 1.0]])


@pytest.fixture(scope="module")
def model():
    prior = layers.GaussianMixturePrior(MEAN, VARIANCE)
    model = models.METHODS["exon"]((8, 8, 1), K, hidden=(12,), filters=(4,), prior=prior, seed=1)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.3)
    return model


@pytest.fixture(scope="module")
def rows(digits):
    y = digits.y_test
    chosen = np.flatnonzero(y < K)[:60]
    return digits.x_test[chosen], y[chosen]


def by_hand(model, x):
    """q(y, z|x) of images, by the model's own parts."""
    scaled = x.astype("float32") / 255
    mean, log_var = model.components(scaled)
    return model.predict(x, verbose=0), mean.numpy(), np.exp(log_var)


def test_v_nat_of_a_case_by_hand():
    # Unit 0: mean of 1/0.5 and 1/0.1 is 6; unit 1: of 4/4 and 4/2, 1.5; unit 2 is the prior.
    found = evaluation.v_nat([[0.5, 4.0, 2.0], [0.1, 2.0, 2.0]], [1.0, 4.0, 2.0])
    np.testing.assert_allclose(found, np.log([6, 1.5, 1]))
    assert evaluation.activated_units(found).tolist() == [0]
    assert evaluation.activated_units(found, delta=0.1).tolist() == [0, 1]
    assert evaluation.activated_units(found, delta=2.0).tolist() == []


def test_v_nat_of_a_class_uses_its_images_and_its_component(model, rows):
    x, y = rows
    found = evaluation.class_v_nat(model, x, y, batch_size=25)
    _, _, variance = by_hand(model, x)
    for k in range(K):
        expected = np.log(np.mean(VARIANCE[k] / variance[y == k, k], axis=0))
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)
    unlabelled = np.append(y, -1)
    more = evaluation.class_v_nat(model, np.concatenate([x, x[:1]]), unlabelled)
    np.testing.assert_allclose(more, found, rtol=1e-5)


def test_correlation_between_classes():
    v_nats = np.array([[0.0, 1.0, 2.0], [1.0, 3.0, 5.0], [2.0, 1.0, 0.0]])
    expected = [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    np.testing.assert_allclose(evaluation.v_nat_correlation(v_nats), expected, atol=1e-12)
    v_nats = np.random.default_rng(0).gamma(2.0, size=(4, 7))
    np.testing.assert_allclose(evaluation.v_nat_correlation(v_nats), np.corrcoef(v_nats))


def test_a_class_whose_units_are_alike_correlates_with_nothing():
    v_nats = [[0.1] * 3, [0.0, 1.0, 2.0], [0.0, 1.0, 3.0]]
    found = evaluation.v_nat_correlation(v_nats)
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[1:, 1:], np.corrcoef(v_nats[1:]))
    figure = evaluation.v_nat_correlation_figure(v_nats, NAMES)
    assert evaluation.figure_pixels(figure).std() > 1


@pytest.mark.parametrize("v_nats", [[[1.0], [2.0]], [1.0, 2.0], np.zeros((2, 0))])
def test_one_unit_has_no_correlation(v_nats):
    with pytest.raises(InputError, match="two units or more"):
        evaluation.v_nat_correlation(v_nats)


def test_kl_to_the_prior_is_the_mean_of_eq_12(model, rows):
    x, _ = rows
    probs, mean, variance = by_hand(model, x)
    ratio = variance / VARIANCE
    kl = 0.5 * (ratio + (mean - MEAN) ** 2 / VARIANCE - 1 - np.log(ratio)).sum(-1)
    expected = (probs * (np.log(probs * K) + kl)).sum(1).mean()
    assert evaluation.kl_to_prior(model, x, batch_size=17) == pytest.approx(expected, rel=1e-4)


def test_theorem_1_holds_where_its_assumption_does():
    """A model whose posteriors average to the prior: Var E[z|x] + E Var[z|x] = Var z."""
    rng = np.random.default_rng(0)

    class Exact:
        example_shape = (1,)
        num_classes = 1
        prior = layers.GaussianMixturePrior([[1.0, -1.0]], [[4.0, 0.5]])

        def predict_logits(self, x):
            return tf.zeros((tf.shape(x)[0], 1))

        def components(self, x):
            share = tf.constant([0.9, 0.2])  # of the variance, explained by the image
            noise = tf.concat([tf.sqrt(2.0) * tf.math.erfinv(2 * x - 1), 0 * x], axis=1)
            mean = self.prior.mean + tf.sqrt(share * self.prior.variance) * noise
            variance = (1 - share * [1.0, 0.0]) * self.prior.variance
            return mean[:, None], tf.math.log(variance + 0 * mean)[:, None]

    x = ((np.arange(20_000) + 0.5) / 20_000)[:, None].astype("float32")
    found = evaluation.kl_bounds(Exact(), rng.permutation(x))
    assert found["lower"] == pytest.approx(0.45, abs=1e-3)
    assert found["kl_z"] == pytest.approx(0.5 * np.log(10), abs=2e-3)
    assert found["upper"] == pytest.approx(4.5, abs=1e-3)
    assert found["mean_gap"] < 1e-3
    assert found["variance_gap"] < 3e-3
    assert found["lower"] <= found["kl_z"] <= found["upper"]


def test_bounds_of_theorem_1_are_the_sums_over_classes(model, rows):
    x, _ = rows
    probs, mean, variance = by_hand(model, x)
    found = evaluation.kl_bounds(model, x)
    weights = probs.mean(0)
    lower, upper = D / 2, -D / 2
    for k in range(K):
        of_class = probs[:, k] / probs[:, k].sum()
        for j in range(D):
            ratio = variance[:, k, j] / VARIANCE[k, j]
            lower -= weights[k] / 2 * (of_class * ratio).sum()
            upper += weights[k] / 2 * (of_class / ratio).sum()
    assert found["lower"] == pytest.approx(lower, rel=1e-4)
    assert found["upper"] == pytest.approx(upper, rel=1e-4)
    divergence = evaluation.kl_to_prior(model, x)
    of_class = (probs * np.log(probs * K)).sum(1).mean()
    assert found["kl_z"] == pytest.approx(divergence - of_class, rel=1e-4)
    gap = np.abs(np.einsum("nk,nkd->kd", probs / probs.sum(0), mean) - MEAN) / np.sqrt(VARIANCE)
    assert found["mean_gap"] == pytest.approx(gap.max(), rel=1e-4)
    gaps = []
    for k in range(K):
        of_class = probs[:, k] / probs[:, k].sum()
        spread = of_class @ np.square(mean[:, k]) - np.square(of_class @ mean[:, k])
        gaps.append(np.abs((of_class @ variance[:, k] + spread) / VARIANCE[k] - 1))
    assert found["variance_gap"] == pytest.approx(np.max(gaps), rel=1e-4)


def test_posteriors_that_are_too_narrow_are_a_gap_of_variances_and_absent_classes_none():
    class Narrow:
        example_shape = (1,)
        num_classes = 2
        prior = layers.GaussianMixturePrior([[1.0], [5.0]], [[4.0], [1.0]])

        def predict_logits(self, x):
            return tf.constant([50.0, -50.0]) + 0 * x

        def components(self, x):
            mean = self.prior.mean[None] + 0 * x[..., None]
            return mean, tf.math.log(0.7 * self.prior.variance[None] + 0 * mean)

    found = evaluation.kl_bounds(Narrow(), np.zeros((9, 1), "float32"))
    assert found["mean_gap"] == pytest.approx(0, abs=1e-6)  # class 1, which no image has, is not 5
    assert found["variance_gap"] == pytest.approx(0.3, rel=1e-5)
    assert found["kl_z"] < found["lower"]  # what the gap warns of


def test_a_run_records_what_a_designed_latent_space_says(model, m2, rows):
    x, y = rows
    found = evaluation.latent_report(model, x, y)
    assert found["kl_to_prior"] == evaluation.kl_to_prior(model, x)
    assert found["kl_bounds"] == evaluation.kl_bounds(model, x)
    assert found["kl_decomposition"] == evaluation.kl_decomposition(model, x)
    assert sum(found["kl_decomposition"].values()) == pytest.approx(found["kl_to_prior"], rel=0.1)
    units = (evaluation.class_v_nat(model, x, y) > 1).sum(axis=1)
    assert [found[f"activated_units_{k}"] for k in range(K)] == units.tolist()
    assert 0 < found["negative_ssim"] < 1
    assert json.loads(json.dumps(found)) == found
    unlabelled = evaluation.latent_report(model, x, np.full(len(x), -1))
    assert set(found) - set(unlabelled) == {f"activated_units_{k}" for k in range(K)}
    assert evaluation.latent_report(m2, x, y) == {}


def test_a_path_is_walked_at_constant_speed():
    path = evaluation.along_path([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]], 8)
    np.testing.assert_allclose(np.linalg.norm(np.diff(path, axis=0), axis=1), 1.0)
    np.testing.assert_allclose(path[[0, 3, 7]], [[0, 0], [3, 0], [3, 4]])


def cells(axes, rows, columns):
    """The picture of an axes cut into the 8x8 images it shows: (rows, columns, 8, 8)."""
    picture = np.asarray(axes.images[0].get_array())[1:, 1:, 0]
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    apart = picture.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)
    size = (height - 1) // 8
    return apart[:, :, :-1:size, :-1:size]


def decoded(model, codes):
    codes = np.asarray(codes, "float32")
    return as_pictures(evaluation.decode_codes(model, codes))[..., 0]


def test_interpolation_goes_from_one_end_to_the_other(model, rows):
    x, _ = rows
    probs, mean, _ = by_hand(model, x[:2])
    ends = mean[np.arange(2), probs.argmax(1)]
    np.testing.assert_allclose(evaluation.likely_codes(model, x[:2]), ends, rtol=1e-4, atol=1e-5)
    figure = evaluation.interpolation_figure(model, x[0], x[1], steps=5)
    line = np.linspace(ends[0], ends[1], 5)
    np.testing.assert_allclose(cells(figure.axes[0], 1, 5)[0], decoded(model, line), atol=1e-4)
    figure = evaluation.interpolation_figure(model, 0, 2, steps=3, path=[[5.0, 5.0]])
    path = evaluation.along_path([MEAN[0], [5.0, 5.0], MEAN[2]], 3)
    np.testing.assert_allclose(cells(figure.axes[0], 1, 3)[0], decoded(model, path), atol=1e-4)
    evaluation.figure_pixels(figure)


def test_a_path_is_drawn_over_the_codes_and_as_images(model, rows):
    x, y = rows
    figure = evaluation.path_figure({"first": model, "$2": model}, x, y, NAMES, 2, x[0], steps=4)
    planes, strips = figure.axes[:2], figure.axes[2:]
    end = evaluation.likely_codes(model, x[:1])[0]
    for plane, strip in zip(planes, strips, strict=True):
        (line,) = plane.get_lines()
        np.testing.assert_allclose(line.get_xydata(), [MEAN[2], end], rtol=1e-4)
        assert plane.collections[0].get_offsets().shape == (60, 2)
        expected = decoded(model, np.linspace(MEAN[2], end, 4))
        np.testing.assert_allclose(cells(strip, 1, 4)[0], expected, atol=1e-4)
    assert [plane.get_title() for plane in planes] == ["first", "$2"]
    evaluation.figure_pixels(figure)


def test_a_line_has_a_row_of_images_for_each_model(model, rows):
    figure = evaluation.line_figure({"one": model, "other": model}, (-2, 1), (2, 1), steps=5)
    expected = decoded(model, [[value, 1] for value in (-2, -1, 0, 1, 2)])
    for row in cells(figure.axes[0], 2, 5):
        np.testing.assert_allclose(row, expected, atol=1e-4)
    columns = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert columns == ["-2", "-1", "0", "1", "2"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "other"]
    slanted = evaluation.line_figure({"one": model}, (0, 0), (2, 1), steps=3)
    columns = [label.get_text() for label in slanted.axes[0].get_xticklabels()]
    assert columns == ["0", "0.5", "1"]
    evaluation.figure_pixels(figure)


def test_a_row_moves_one_unit_only(model, rows):
    x, _ = rows
    code = evaluation.likely_codes(model, x[:1])[0]
    figure = evaluation.unit_figure(model, x[0], [1, 0])
    found = cells(figure.axes[0], 2, 9)
    for row, unit in enumerate([1, 0]):
        codes = np.tile(code, (9, 1))
        codes[:, unit] = np.linspace(-3, 3, 9)
        np.testing.assert_allclose(found[row], decoded(model, codes), atol=1e-4)


def test_noise_on_a_subspace_leaves_the_other_units(model, rows):
    x, _ = rows
    code = evaluation.likely_codes(model, x[:1])[0]
    figure = evaluation.subspace_figure(model, x[0], [1], scale=1.5, seed=4)
    found = cells(figure.axes[0], 3, 8)
    noise = np.random.default_rng(4).uniform(-1.5, 1.5, (8, 2))
    np.testing.assert_allclose(found[0], decoded(model, np.tile(code, (8, 1))), atol=1e-4)
    np.testing.assert_allclose(found[1], decoded(model, code + noise * [0, 1]), atol=1e-4)
    np.testing.assert_allclose(found[2], decoded(model, code + noise * [1, 0]), atol=1e-4)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["unchanged", "1 units", "1 others"]
    none = cells(evaluation.subspace_figure(model, x[0], [], 1.5, seed=4).axes[0], 3, 8)
    np.testing.assert_allclose(none[1], found[0], atol=1e-4)
    np.testing.assert_allclose(none[2], decoded(model, code + noise), atol=1e-4)


def test_the_grid_covers_the_plane_from_the_top_left(model):
    points, images = evaluation.latent_grid(model, size=3, extent=(-1, 1, -2, 2))
    np.testing.assert_allclose(points[[0, 2, 4, 8]], [[-1, 2], [1, 2], [0, 0], [1, -2]])
    np.testing.assert_allclose(images[..., 0], decoded(model, points), atol=1e-6)
    figure = evaluation.latent_grid_figure(model, size=3, extent=(-1, 1, -2, 2))
    found = cells(figure.axes[0], 3, 3).reshape(9, 8, 8)
    np.testing.assert_allclose(found, images[..., 0], atol=1e-6)
    assert figure.axes[0].images[0].get_extent() == [-1, 1, -2, 2]
    whole, _ = evaluation.latent_grid(model, size=2)
    reach = 3 * np.sqrt(VARIANCE)
    np.testing.assert_allclose(whole[0], [(MEAN - reach)[:, 0].min(), (MEAN + reach)[:, 1].max()])


def test_the_prior_is_drawn_under_the_codes(model, rows):
    x, y = rows
    for figure in (
        evaluation.prior_figure(model.prior, NAMES),
        evaluation.latent_scatter_figure(model, x, y, NAMES),
    ):
        ellipses = figure.axes[0].patches
        assert len(ellipses) == 2 * K
        np.testing.assert_allclose(ellipses[2].center, MEAN[1])
        np.testing.assert_allclose(
            (ellipses[2].width, ellipses[2].height), 2 * np.sqrt(VARIANCE[1]), rtol=1e-6
        )
        assert [text.get_text() for text in figure.legends[0].get_texts()] == NAMES
        evaluation.figure_pixels(figure)
    points = figure.axes[0].collections[0].get_offsets()
    assert points.shape == (60, 2)
    _, mean, variance = by_hand(model, x)
    # Every point is within six standard deviations of one of its image's components.
    away = np.abs(points[:, None] - mean) / np.sqrt(variance)
    assert (away.max(-1).min(1) < 6).all()


def test_v_nat_figures_show_their_numbers():
    v_nats = np.array([[0.0, 1.5, 2.0], [1.0, 3.0, 5.0], [2.0, 1.0, 0.0]])
    figure = evaluation.v_nat_figure(v_nats, NAMES)
    np.testing.assert_allclose(figure.axes[0].get_lines()[1].get_ydata(), v_nats[1])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["zero: 2", "one: 2", "$two: 1"]
    assert figure.legends[0].get_title().get_text() == "units above 1 nat\nof each class"
    evaluation.figure_pixels(figure)
    for units in (1, 2, 3):
        figure = evaluation.v_nat_figure(v_nats[:, :units], NAMES)
        low, high = figure.axes[0].get_xlim()
        shown = [place for place in figure.axes[0].get_xticks() if low <= place <= high]
        assert shown == [*range(units)]
    figure = evaluation.v_nat_correlation_figure(v_nats, NAMES)
    expected = np.corrcoef(v_nats)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), expected)
    evaluation.figure_pixels(figure)


def test_bad_input_is_refused(model, m2, rows):
    x, y = rows
    with pytest.raises(InputError, match="M2 has no mixture"):
        evaluation.kl_to_prior(m2, x)
    with pytest.raises(InputError, match=r"none of \[2\]"):
        evaluation.class_v_nat(model, x[y < 2], y[y < 2])
    with pytest.raises(InputError, match=r"\(n, d\)"):
        evaluation.v_nat([1.0], [1.0])
    with pytest.raises(InputError, match="positive"):
        evaluation.v_nat([[0.0]], [1.0])
    with pytest.raises(InputError, match=r"\(n, 2\)"):
        evaluation.decode_codes(model, np.zeros((1, 3)))
    with pytest.raises(InputError, match="at least 2"):
        evaluation.interpolation_figure(model, 0, 1, steps=1)
    for draw in (
        lambda: evaluation.path_figure({}, x, y, NAMES),
        lambda: evaluation.line_figure({}, (0, 0), (1, 1)),
    ):
        with pytest.raises(InputError, match="empty"):
            draw()
    for units in ([2], [-1], [0.5], [np.nan], [False, True], [[0]]):
        with pytest.raises(InputError, match=r"0\.\.1"):
            evaluation.unit_figure(model, x[0], units)
    with pytest.raises(InputError, match="at least one unit"):
        evaluation.unit_figure(model, x[0], [])
    for path in ([0, 0], [[0, 0, 0]], [[0, np.nan]], [[0, 0], [1]]):
        with pytest.raises(InputError, match="path must be"):
            evaluation.interpolation_figure(model, 0, 1, path=path)
    with pytest.raises(InputError, match="start and end"):
        evaluation.line_figure({"a": model}, (0, 0), (1,))
    for draw in (
        lambda: evaluation.decode_codes(m2, np.zeros((1, 2))),
        lambda: evaluation.line_figure({"m2": m2}, (0, 0), (1, 1)),
        lambda: evaluation.unit_figure(m2, x[0], [0]),
        lambda: evaluation.subspace_figure(m2, x[0], [0]),
        lambda: evaluation.latent_grid_figure(m2),
        lambda: evaluation.latent_scatter_figure(m2, x, y, NAMES),
        lambda: evaluation.path_figure({"m2": m2}, x, y, NAMES),
    ):
        with pytest.raises(InputError, match="M2 has no mixture"):
            draw()
    line = layers.GaussianMixturePrior([[0.0], [1.0], [2.0]], 1.0)
    with pytest.raises(InputError, match="two latent dimensions"):
        evaluation.prior_figure(line, NAMES)
