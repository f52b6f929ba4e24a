"""Pictures of layers of codes, of the plane of the top code, and of what classes became."""

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.colors import to_rgba

from tfssvae import data, evaluation, models
from tfssvae.checks import InputError
from tfssvae.evaluation.embedding import class_colours
from tfssvae.evaluation.images import as_pictures
from tfssvae.evaluation.latent import plane_points
from tfssvae.noise import Noise

NAMES = [str(k) for k in range(10)]


def small(name, **arguments):
    model = models.METHODS[name]((8, 8, 1), 10, seed=2, **arguments)
    model.set_weights([2 * value for value in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def cagem():
    return small("cagem", latent_dims=(4, 2), hidden=(16,))


@pytest.fixture(scope="module")
def untapped():
    return small("untapped", hidden=(16,))


@pytest.fixture(scope="module")
def rows(digits):
    return digits.x_test[:60], digits.y_test[:60]


def cells(axes, rows, columns):
    """The picture of an axes cut into the 8x8 images it shows: (rows, columns, 8, 8)."""
    picture = np.asarray(axes.images[0].get_array())[1:, 1:, 0]
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    apart = picture.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)
    return apart[:, :, :-1, :-1]


def drawn(figure):
    """Draw the figure, which raises where it cannot be."""
    assert evaluation.figure_pixels(figure).std() > 1
    return figure


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_layer_is_a_panel_of_its_principal_components(cagem, rows):
    x, y = rows
    layers = {**evaluation.code_layers(cagem, x), "line": np.arange(60.0)[:, None]}
    labels = np.where(np.arange(60) % 7, y, -1)
    figure = drawn(evaluation.code_layers_figure(layers, labels, NAMES, "$title"))
    assert [axes.get_title() for axes in figure.axes] == [
        "z1, 4 units",
        "z2, 2 units",
        "line, 1 units",
    ]
    colours = np.array([*class_colours(10), "gray"])
    for axes, codes in zip(figure.axes, layers.values(), strict=True):
        points = axes.collections[0]
        parts = evaluation.principal_components(codes, min(2, codes.shape[1]))
        expected = parts.project(codes)
        np.testing.assert_allclose(points.get_offsets()[:, : expected.shape[1]], expected)
        assert axes.get_xlabel() == f"component 1: {parts.share[0]:.0%}"
        for found, label in zip(points.get_facecolors(), labels, strict=True):
            assert tuple(found) == pytest.approx(to_rgba(colours[label]))
    assert legend_of(figure) == [*NAMES, "no label"]


def images_at(model, points, labels, seed=0):
    found = model.images_of_codes(tf.constant(points), labels, Noise(seed, 0)).numpy()
    return as_pictures(found)[..., 0]


def test_a_mesh_lies_beside_the_codes_in_whose_box_it_is(cagem, rows):
    x, y = rows
    figure = drawn(evaluation.code_plane_figure(cagem, x, y, NAMES, size=5, seed=3))
    mesh, codes = figure.axes
    z2 = cagem.encode(x)[:, 4:]
    np.testing.assert_allclose(codes.collections[0].get_offsets(), z2, rtol=1e-5)
    (low, high) = np.quantile(z2, [0.02, 0.98], axis=0)
    box = codes.patches[0]
    np.testing.assert_allclose(box.get_xy(), low, rtol=1e-5)
    np.testing.assert_allclose((box.get_width(), box.get_height()), high - low, rtol=1e-5)
    extent = (low[0], high[0], low[1], high[1])
    np.testing.assert_allclose(mesh.images[0].get_extent(), extent, rtol=1e-5)
    expected = images_at(cagem, plane_points(extent, 5), None, seed=3)
    np.testing.assert_allclose(cells(mesh, 5, 5).reshape(25, 8, 8), expected, atol=1e-4)
    assert legend_of(figure) == NAMES


def test_every_class_has_its_plane(untapped, rows):
    x, _ = rows
    figure = drawn(evaluation.class_planes_figure(untapped, x, NAMES, size=3))
    assert [axes.get_title() for axes in figure.axes] == NAMES
    low, high = np.quantile(untapped.encode(x), [0.02, 0.98], axis=0)
    points = plane_points((low[0], high[0], low[1], high[1]), 3)
    for k in (0, 9):
        expected = images_at(untapped, points, np.full(9, k))
        found = cells(figure.axes[k], 3, 3).reshape(9, 8, 8)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    many = models.METHODS["untapped"]((8, 8, 1), 23, hidden=(4,))
    figure = evaluation.class_planes_figure(many, x, [f"c{k}" for k in range(23)], size=2)
    assert len(figure.axes) == 20


def test_inputs_reconstructions_and_samples_stand_side_by_side(cagem, rows):
    x, _ = rows
    figure = drawn(evaluation.generation_figure(cagem, x, columns=3, seed=4))
    expected = x[:9] / 255, cagem.reconstruct(x[:9]), evaluation.random_images(cagem, 9, seed=4)
    names = []
    for axes, images in zip(figure.axes, expected, strict=True):
        # Each of 8x8 pixels is drawn as 3x3, in a frame of one.
        found = cells(axes, 3, 3)[..., 3:-3, 3:-3][..., ::3, ::3].reshape(9, 8, 8)
        np.testing.assert_allclose(found, images[..., 0], atol=1e-5)
        names += [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["inputs", "reconstructions", "samples"]


def test_random_images_are_of_the_models_own_codes_and_classes(cagem):
    noise = Noise(5, 0)
    z2 = noise.normal((6, 2))
    expected = cagem.images_of_codes(z2, None, noise)
    np.testing.assert_allclose(evaluation.random_images(cagem, 6, seed=5), expected, atol=1e-6)
    prior = np.full(10, 1e-6)
    prior[3] = 1 - 9e-6
    m2 = small("m2", latent_dim=2, hidden=(8,), class_prior=prior.tolist())
    found = evaluation.random_images(m2, 6, seed=5)
    np.testing.assert_allclose(found, m2.generate([3] * 6, seed=5), atol=1e-6)


def test_every_class_is_drawn_with_what_it_is_taken_for(untapped):
    loaded = data.load("digits", labelled_classes=range(5))
    report = {
        "decoded_as": dict(zip(NAMES, reversed(NAMES), strict=True)),
        "decoded_as_probability": {name: int(name) / 10 for name in NAMES},
    }
    figure = drawn(evaluation.decoded_classes_figure(untapped, loaded, report))
    axes = figure.axes[0]
    parts = evaluation.principal_components(
        untapped.encode(loaded.x_train[loaded.labelled_indices])
    )
    steps = parts.axes * parts.deviation[:, None]
    codes = parts.mean + np.stack([0 * steps[0], -steps[0], steps[0], -steps[1], steps[1]])
    # Each of 8x8 pixels is drawn as 7x7, in a frame of two.
    found = cells(axes, 5, 10)[..., 2:-2, 2:-2][..., ::7, ::7]
    for row, code in enumerate(codes):
        points = np.tile(np.float32(code), (10, 1))
        np.testing.assert_allclose(
            found[row], images_at(untapped, points, np.arange(10)), atol=1e-4
        )
    below = [label.get_text() for label in axes.get_xticklabels()]
    assert below[0] == "9\n0%"
    assert below[7] == "2\n70%"
    above = [label.get_text() for label in axes.child_axes[0].get_xticklabels()]
    assert above == ["0", "1", "2", "3", "4", "[5]", "[6]", "[7]", "[8]", "[9]"]
    rows = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in axes.get_yticklabels()]
    assert rows == ["mean code", "axis 1, -1 sd", "axis 1, +1 sd", "axis 2, -1 sd", "axis 2, +1 sd"]


def test_one_labelled_image_has_one_code(untapped):
    one = data.load("digits", labels_per_class={4: 1})
    axes = drawn(evaluation.decoded_classes_figure(untapped, one)).axes[0]
    code = untapped.encode(one.x_train[one.labelled_indices])
    found = cells(axes, 1, 10)[..., 2:-2, 2:-2][0, :, ::7, ::7]
    expected = images_at(untapped, np.tile(code, (10, 1)), np.arange(10))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["only code"]


def test_what_has_no_plane_is_refused(m2, rows):
    x, y = rows
    with pytest.raises(InputError, match="two dimensions"):
        evaluation.class_planes_figure(m2, x, NAMES)
    with pytest.raises(InputError, match="has no p"):
        evaluation.code_plane_figure(m2, x, y, NAMES)
    vae = models.METHODS["vae"]((8, 8, 1), 10, latent_dim=2, hidden=(4,))
    with pytest.raises(InputError, match="VAE does not decode"):
        evaluation.class_planes_figure(vae, x, NAMES)
    with pytest.raises(InputError, match="10 names"):
        evaluation.class_planes_figure(m2, x, NAMES[:9])
