"""Checks of what every method's constructor takes."""

import numpy as np
import pytest

from tfssvae import InputError, model_arguments


@pytest.mark.parametrize("given", [3, np.int64(3), np.float32(3.0)])
def test_classes_are_a_number(given):
    found = model_arguments.checked_classes(given)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize(
    "given", [1, -2, 2.5, None, "3", True, float("nan"), float("inf"), [3], np.ones(2)]
)
def test_other_classes_are_refused(given):
    with pytest.raises(InputError, match="num_classes must be an integer >= 2, got"):
        model_arguments.checked_classes(given)


def test_a_shape_is_plain_integers():
    found = model_arguments.checked_shape([np.int32(8), 8, 1])
    assert found == (8, 8, 1)
    assert all(type(size) is int for size in found)


@pytest.mark.parametrize(
    "given", [None, 5, (), (2, 3), (2, 3, 4, 1), (0,), (4, -1, 1), (2.5,), "abc"]
)
def test_other_shapes_are_refused(given):
    with pytest.raises(InputError, match=r"input_shape must be \(height, width, channels\) or"):
        model_arguments.checked_shape(given)


def test_a_class_prior_is_normalised():
    assert model_arguments.checked_prior(None, 2) is None
    assert model_arguments.checked_prior("labels", 2) == "labels"
    assert model_arguments.checked_prior(np.array([0.25, 0.75], "float32"), 2) == [0.25, 0.75]


@pytest.mark.parametrize("given", ["uniform", [0.5], [0.0, 1.0], [0.7, 0.7], [np.nan, 1.0], 3])
def test_other_class_priors_are_refused(given):
    with pytest.raises(InputError, match="class_prior must be None"):
        model_arguments.checked_prior(given, 2)


@pytest.mark.parametrize("given", ["mier", 3, [object()], {"mier": 1}])
def test_other_regularizers_are_refused(given):
    with pytest.raises(InputError, match="regularizers must be a list"):
        model_arguments.checked_regularizers(given)
