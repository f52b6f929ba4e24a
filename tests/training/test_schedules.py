"""Schedules and weights: values, patterns, saving."""

import keras
import numpy as np
import pytest

from tfssvae import InputError
from tfssvae.training import exponential_ramp, linear_ramp
from tfssvae.weights import resolve_weights


@pytest.mark.parametrize("step", [0, 1, 7, 10, 25])
def test_exponential_ramp_equals_its_formula(step):
    expected = 3.0 * np.exp(-4.0 * (1 - min(1, step / 10)) ** 2)
    assert float(exponential_ramp(3.0, 10, gamma=4.0)(step)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("step", "expected"), [(0, 8.0), (5, 4.5), (10, 1.0), (99, 1.0)])
def test_linear_ramp_goes_either_way(step, expected):
    assert float(linear_ramp(1.0, 10, initial=8.0)(step)) == pytest.approx(expected)


@pytest.mark.parametrize("ramp", [exponential_ramp(3.0, 10, 4.0), linear_ramp(1.0, 10, 8.0)])
def test_schedules_are_saved_with_the_model(ramp):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ramp))
    assert float(again(4)) == float(ramp(4))


@pytest.mark.parametrize("ramp", [exponential_ramp, linear_ramp])
def test_a_ramp_of_no_steps_is_refused(ramp):
    with pytest.raises(InputError, match="at least 1"):
        ramp(1.0, steps=0)


def test_patterns_match_names_and_later_settings_win():
    names = ["labelled_kl_z", "unlabelled_kl_z", "classification"]
    weights = resolve_weights(names, {"*_kl_z": 2.0}, {"unlabelled_*": 3, "classification": 0})
    assert weights == {"labelled_kl_z": 2.0, "unlabelled_kl_z": 3.0, "classification": 0.0}


def test_an_unknown_term_lists_the_known_ones():
    with pytest.raises(InputError, match=r"klz.*classification"):
        resolve_weights(["classification"], {"klz": 1.0})
