"""Every class in the style of an image."""

import numpy as np
import pytest
import tensorflow as tf

from tfssvae import evaluation, models
from tfssvae.checks import InputError

NAMES = list("0123456789")


def cells(axes, rows):
    """Return the pixels at the upper left of each image: (rows, columns), greys."""
    grid = np.asarray(axes.images[0].get_array())[..., 0]
    side = (len(grid) - 1) // rows
    return grid[1::side, 1::side]


def test_a_row_keeps_the_code_of_its_image_and_a_column_the_class(m2, digits):
    x = digits.x_test[[3, 8, 20]]
    x = np.where(np.indices(x.shape).sum(0) % 16 == 0, 255 - x, x)  # an upper left that differs
    figure = evaluation.style_figure(m2, x, [*NAMES[:9], "a $"])
    given, decoded = figure.axes
    np.testing.assert_allclose(cells(given, 3)[:, 0], x[:, 0, 0, 0] / 255, rtol=1e-6)
    found, codes = cells(decoded, 3), tf.constant(m2.encode(x))
    assert found.shape == (3, 10)
    for k in range(10):
        outputs = m2.decode(codes, tf.one_hot([k] * 3, 10))
        np.testing.assert_allclose(found[:, k], tf.sigmoid(outputs)[:, 0, 0, 0], rtol=1e-5)
    assert np.ptp(found, axis=0).min() > 1e-6
    assert [text.get_text() for text in decoded.get_xticklabels()] == [*NAMES[:9], "a $"]
    evaluation.figure_pixels(figure)


def test_many_classes_go_on_below(digits):
    model = models.METHODS["m2"](digits.input_shape, 23, latent_dim=2, hidden=(4,))
    figure = evaluation.style_figure(model, digits.x_test[:2], [f"class {k}" for k in range(23)])
    shown = [[text.get_text() for text in axes.get_xticklabels()] for axes in figure.axes]
    assert shown[::2] == [["image"], ["image"]]
    assert shown[1] + shown[3] == [f"class {k}" for k in range(23)]
    assert cells(figure.axes[3], 2).shape == (2, 3)
    assert figure.axes[3].get_position().y1 < figure.axes[1].get_position().y0


def test_every_method_draws_it_or_says_that_it_cannot(any_model, digits):
    if evaluation.has_styles(any_model):
        _, decoded = evaluation.style_figure(any_model, digits.x_test[:2], NAMES).axes
        assert cells(decoded, 2).shape == (2, 10)
        assert np.ptp(np.asarray(decoded.images[0].get_array())[1:-1, 1:-1]) > 0
    else:
        with pytest.raises(InputError, match="does not decode a code and a class"):
            evaluation.style_figure(any_model, digits.x_test[:2], NAMES)
