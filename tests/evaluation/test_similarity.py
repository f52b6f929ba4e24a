"""Structural similarity against plain loops, and against scikit-image."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from tfssvae import evaluation
from tfssvae.checks import InputError

RNG = np.random.default_rng(0)


def ssim_by_loops(one, two, side):
    """Mean SSIM of two images (h, w, c) over windows and channels, in float64."""
    distance = np.arange(side) - side // 2
    weights = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for c in range(one.shape[2]):
        for i in range(one.shape[0] - side + 1):
            for j in range(one.shape[1] - side + 1):
                u, v = (of[i : i + side, j : j + side, c].astype("float64") for of in (one, two))
                mean_u, mean_v = (weights * u).sum(), (weights * v).sum()
                covariance = (weights * (u - mean_u) * (v - mean_v)).sum()
                variances = (weights * ((u - mean_u) ** 2 + (v - mean_v) ** 2)).sum()
                numerator = (2 * mean_u * mean_v + 1e-4) * (2 * covariance + 9e-4)
                values.append(numerator / (mean_u**2 + mean_v**2 + 1e-4) / (variances + 9e-4))
    return np.mean(values)


@pytest.mark.parametrize(("shape", "side"), [((9, 8, 2), 7), ((14, 12, 1), 11), ((6, 4, 1), 3)])
def test_it_is_the_mean_over_all_pairs(shape, side):
    images = RNG.uniform(size=(5, *shape)).astype("float32") ** 3
    images[1] = 0.9 * images[0]
    expected = np.mean([[ssim_by_loops(a, b, side) for b in images] for a in images])
    found = float(evaluation.negative_ssim(images))
    assert found == pytest.approx((1 - expected) / 2, abs=1e-5)


def test_it_agrees_with_scikit_image():
    images = RNG.uniform(size=(6, 28, 28)).astype("float32")
    images[3:] = 0.5 * images[:3] + 0.2
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = np.mean(
        [[structural_similarity(a, b, data_range=1.0, **wang) for b in images] for a in images]
    )
    found = float(evaluation.negative_ssim(images))
    assert found == pytest.approx((1 - expected) / 2, abs=1e-5)


def test_blocks_do_not_change_it(monkeypatch):
    images = RNG.uniform(size=(11, 8, 8, 1)).astype("float32")
    whole = float(evaluation.negative_ssim(images))
    monkeypatch.setattr("tfssvae.evaluation.similarity._BLOCK", 1)
    assert float(evaluation.negative_ssim(images)) == pytest.approx(whole, abs=1e-6)


def test_copies_are_not_diverse_and_opposites_are():
    one = RNG.uniform(size=(1, 12, 12, 1))
    assert float(evaluation.negative_ssim(np.repeat(one, 4, axis=0))) == pytest.approx(0, abs=1e-6)
    stripes = np.tile([0.0, 1.0], (1, 12, 6))[..., None]
    both = np.concatenate([stripes, 1 - stripes])
    # The mean is the same and the covariance opposite, but for the window's odd size.
    assert 0.45 < float(evaluation.negative_ssim(both)) <= 0.5
    unsigned = (both * 255).astype("uint8")
    assert float(evaluation.negative_ssim(unsigned)) == float(evaluation.negative_ssim(both))


def test_bad_images_are_refused():
    with pytest.raises(InputError, match="height, width, channels"):
        evaluation.negative_ssim(np.zeros((3, 64)))
    with pytest.raises(InputError, match="3x3"):
        evaluation.negative_ssim(np.zeros((3, 2, 8, 1)))
