"""SSVAEClassifier on images: bytes, their shape, many rows, and what few labels reach."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tests.small_classifier import few_labels, quick
from tfssvae import InputError, SSVAEClassifier


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x, y, few_labels(y, per_class=10)


def test_images_are_accepted_and_generated_as_images():
    images = load_digits().images.astype("uint8") * 15
    y = load_digits().target
    estimator = quick(epochs=3).fit(images, few_labels(y))
    assert estimator.model_.example_shape == (8, 8, 1)
    assert estimator.sample([3]).shape == (1, 8, 8)
    flat = quick(epochs=3, image_shape=(8, 8)).fit(images.reshape(-1, 64), few_labels(y))
    np.testing.assert_array_equal(
        flat.predict(images.reshape(-1, 64)[:50]), estimator.predict(images[:50])
    )


def test_bytes_of_pictures_are_pixels(digits):
    x, few = digits[0] * 15, digits[2]
    estimator = quick(epochs=3).fit(x.astype("uint8"), few)  # 0 to 240, out of 255
    np.testing.assert_array_equal(estimator.scaler_.data_max_, 255)
    # The same numbers mean the same, whatever their dtype.
    np.testing.assert_allclose(
        estimator.predict_proba(x[:50]), estimator.predict_proba(x[:50].astype("uint8")), rtol=1e-5
    )
    np.testing.assert_allclose(
        estimator.predict_proba(x[:50].astype("uint8")),
        estimator.model_.predict((x[:50] / 255).reshape(-1, 64).astype("float32"), verbose=0),
        rtol=1e-5,
    )


def test_features_in_the_unit_interval_are_left_alone(digits):
    x = digits[0] / 20
    estimator = quick(epochs=3).fit(x, digits[2])
    np.testing.assert_allclose(
        estimator.predict_proba(x[:50]),
        estimator.model_.predict(x[:50].astype("float32"), verbose=0),
        rtol=1e-5,
    )


def test_other_images_than_in_fit_are_refused(digits):
    images = digits[0].reshape(-1, 4, 16)
    estimator = quick(epochs=1).fit(images, digits[2])
    np.testing.assert_array_equal(estimator.predict(images[:9]), estimator.predict(digits[0][:9]))
    with pytest.raises(InputError, match="4, 16, 1"):
        estimator.predict(digits[0].reshape(-1, 8, 8))


def test_rows_in_many_blocks_are_predicted_as_in_few(digits):
    x, _, few = digits
    estimator = quick(epochs=3).fit(x, few)
    parts = [estimator.predict_proba(part) for part in np.array_split(x, 7)]
    np.testing.assert_allclose(estimator.predict_proba(x), np.concatenate(parts), rtol=1e-5)


def test_it_beats_logistic_regression_on_ten_labels_per_class(digits):
    x, y, _ = digits
    gains = []
    for seed in range(3):
        few = few_labels(y, per_class=10, seed=seed)
        known = few >= 0
        alone = LogisticRegression(max_iter=5000).fit(x[known] / 16, y[known])
        estimator = SSVAEClassifier(
            epochs=60, hidden=(128, 128), latent_dim=10, learning_rate=3e-3, random_state=seed
        ).fit(x, few)
        hidden = x[~known], y[~known]
        gains.append(estimator.score(*hidden) - alone.score(hidden[0] / 16, hidden[1]))
    assert min(gains) > 0, gains
    assert np.mean(gains) > 0.02, gains
