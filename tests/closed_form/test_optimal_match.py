"""The divergence of every pair of codes, and the closest code of each, against loops."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfssvae import losses

tfd = tfp.distributions


def slow_pairwise(mean, log_var):
    size = len(mean)
    found = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            ratio = log_var[i] - log_var[j]
            square = (mean[i] - mean[j]) ** 2 * np.exp(-log_var[j])
            found[i, j] = 0.5 * (np.exp(ratio) + square - 1 - ratio).sum()
    return found


def codes(rows, size):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, size)), rng.normal(size=(rows, size)) * 0.5


def test_pairwise_kl_equals_tfp():
    mean, log_var = (value.astype("float32") for value in codes(6, 3))
    rows, columns = (
        tfd.MultivariateNormalDiag(
            np.expand_dims(mean, axis), np.exp(np.expand_dims(log_var, axis) / 2)
        )
        for axis in (1, 0)
    )
    expected = tfd.kl_divergence(rows, columns)
    found = losses.pairwise_gaussian_kl(mean, log_var)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pairwise_kl_of_codes_far_from_the_origin_keeps_its_precision():
    mean, log_var = codes(8, 5)
    expected = slow_pairwise(mean, log_var)
    found = losses.pairwise_gaussian_kl(mean + 1000.0, log_var)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(("rows", "size"), [(2, 1), (3, 2), (17, 10), (64, 128)])
def test_optimal_match_equals_a_double_loop_in_float64(rows, size):
    mean, log_var = codes(rows, size)
    expected = slow_pairwise(mean, log_var)
    np.fill_diagonal(expected, np.inf)
    found = losses.optimal_match(mean, log_var)
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, expected.argmin(1))


def test_optimal_match_of_duplicates_is_a_duplicate_and_never_itself():
    mean, log_var = codes(4, 3)
    mean, log_var = np.concatenate([mean, mean]), np.concatenate([log_var, log_var])
    np.testing.assert_array_equal(losses.optimal_match(mean, log_var), [4, 5, 6, 7, 0, 1, 2, 3])
    alike = np.zeros((5, 2))  # all equal: any but itself, and the first of them
    np.testing.assert_array_equal(losses.optimal_match(alike, alike), [1, 0, 0, 0, 0])


def test_optimal_match_makes_no_tensor_of_all_pairs_and_dimensions():
    rows, size = 64, 32

    @tf.function
    def match(mean, log_var):
        return losses.optimal_match(mean, log_var)

    spec = tf.TensorSpec((rows, size))
    graph = match.get_concrete_function(spec, spec).graph
    largest = max(
        int(np.prod(output.shape))
        for operation in graph.get_operations()
        for output in operation.outputs
        if output.shape.is_fully_defined()
    )
    assert largest == rows * rows
