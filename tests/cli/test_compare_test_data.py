"""Which options `tfssvae compare` takes to leave the test data as they are."""

import numpy as np
import pytest

from tfssvae import data
from tfssvae.report.same_data import signature


def data_like(**changes):
    x, y = np.arange(24.0).reshape(6, 2, 2) / 24, np.arange(6) % 2
    values = {"x": x, "y": y, "x_test": x, "y_test": y, "seed": 0, **changes}
    return data.from_arrays(**values)


SAME = {
    "other labels shown": {"labels_per_class": 1, "seed": 3},
    "other training images": {"x": np.zeros((6, 2, 2))},
    "clusters": {"clusters": 3},
}
OTHER = {
    "examples": {"x_test": np.zeros((2, 2, 2)), "y_test": [0, 1]},
    "images": {"x_test": np.zeros((6, 2, 2))},
    "labels": {"y_test": 1 - np.arange(6) % 2},
    "classes": {"class_names": ["a", "b"]},
    "pixels": {"binarize": "dynamic"},
}


@pytest.mark.parametrize("change", SAME)
def test_what_leaves_the_test_data_as_they_are(change):
    assert signature(data_like()) == signature(data_like(**SAME[change]))


@pytest.mark.parametrize("change", OTHER)
def test_what_makes_other_test_data(change):
    one, two = signature(data_like()), signature(data_like(**OTHER[change]))
    assert any(one[part] != two[part] for part in one)


def test_pixels_that_the_seed_draws_are_the_same_test_data():
    one, two = (signature(data_like(binarize="fixed", seed=seed)) for seed in (0, 1))
    assert one == two
    assert one != signature(data_like(binarize="round"))
