"""Noise is a function of (seed, step, call), and has the distribution it claims."""

import numpy as np
import pytest
import tensorflow as tf

from tfssvae.noise import Noise


def test_the_same_key_gives_the_same_numbers_and_any_other_key_others():
    reference = Noise(3, 7).normal((100,)).numpy()
    np.testing.assert_array_equal(reference, Noise(3, 7).normal((100,)))
    second_call = Noise(3, 7)
    second_call.normal((1,))
    for other in (
        Noise(4, 7).normal((100,)),
        Noise(3, 8).normal((100,)),
        second_call.normal((100,)),
    ):
        assert abs(np.corrcoef(reference, other)[0, 1]) < 0.4


def test_a_tensor_step_draws_what_a_python_step_draws():
    drawn = tf.function(lambda step: Noise(3, step).normal((10,)))(tf.constant(7, tf.int64))
    np.testing.assert_array_equal(drawn, Noise(3, 7).normal((10,)))


def test_uniform_is_never_zero_and_gumbel_always_finite():
    uniform = Noise(0, 0).uniform((4_000_000,)).numpy()
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert np.isfinite(Noise(0, 0).gumbel((4_000_000,))).all()


def test_gumbel_max_samples_the_categorical():
    p = np.array([0.1, 0.2, 0.7])
    draws = 100_000
    chosen = np.argmax(np.log(p) + Noise(1, 0).gumbel((draws, 3)).numpy(), axis=1)
    frequencies = np.bincount(chosen, minlength=3) / draws
    # Five standard errors: fails by chance less than twice in a million.
    assert (np.abs(frequencies - p) < 5 * np.sqrt(p * (1 - p) / draws)).all()


def test_normal_has_zero_mean_unit_variance():
    values = Noise(0, 0).normal((1_000_000,)).numpy()
    assert values.mean() == pytest.approx(0, abs=5e-3)
    assert values.var() == pytest.approx(1, abs=1e-2)


def test_replicas_draw_the_rows_of_the_global_batch(strategy):
    per_replica = strategy.run(tf.function(lambda: Noise(3, 7).normal((4, 2))))
    rows = np.concatenate(strategy.experimental_local_results(per_replica))
    np.testing.assert_array_equal(rows, Noise(3, 7).normal((8, 2)))
