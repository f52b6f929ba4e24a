"""SSVAEClassifier brings features of any dtype and range to 0..1, whatever their dtype is."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.small_classifier import few_labels, quick


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x, few_labels(y, per_class=5)


def probabilities(x, y):
    return quick(epochs=2).fit(x, y).predict_proba(x)


def test_small_numbers_in_bytes_are_features_and_not_nearly_black_pixels(digits):
    x, y = digits
    estimator = quick(epochs=2).fit(x.astype(np.uint8), y)
    np.testing.assert_array_equal(estimator.scaler_.data_max_, x.max(axis=0))
    np.testing.assert_array_equal(estimator.predict_proba(x.astype(np.uint8)), probabilities(x, y))


def test_zeros_and_ones_in_bytes_stay_zero_and_one(digits):
    masks, y = digits[0] > 7, digits[1]
    expected = probabilities(masks.astype(float), y)
    np.testing.assert_array_equal(probabilities(masks.astype(np.uint8), y), expected)


def test_floats_that_leave_0_to_1_empty_have_their_own_limits(digits):
    x, y = digits
    tiny = x / 16 / 255
    estimator = quick(epochs=2).fit(tiny, y)
    np.testing.assert_allclose(estimator.scaler_.data_max_, tiny.max(axis=0))


def test_pixels_are_divided_by_255(digits):
    x, y = digits
    pixels = (x * 15).astype(np.uint8)
    estimator = quick(epochs=2).fit(pixels, y)
    assert set(estimator.scaler_.data_max_) == {255}
    assert set(quick(epochs=1).fit(pixels * 0, y).scaler_.data_max_) == {255}
    np.testing.assert_allclose(
        estimator.predict_proba(pixels), probabilities(pixels / 255.0, y), atol=1e-5
    )
