"""The merge of a ladder: what the image and what the levels above say of a latent vector."""

import tensorflow as tf


def precision_weighted_merge(mean_a, log_var_a, mean_b, log_var_b) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and log-variance of the normalised product of two diagonal Gaussians.

    Precisions add, and means are weighted by them (Sonderby et al., 2016, eqs. 17 and 18).

    Args:
        mean_a: (..., d) means of the first.
        log_var_a: (..., d) log-variances of the first.
        mean_b: (..., d) means of the second.
        log_var_b: (..., d) log-variances of the second.

    Returns:
        Two tensors (..., d), float32.

    >>> mean, log_var = precision_weighted_merge([0.0], [0.0], [2.0], [0.0])
    >>> float(mean[0]), float(log_var[0])  # variance 1/2
    (1.0, -0.6931471824645996)
    """
    mean_a, log_var_a = tf.cast(mean_a, tf.float32), tf.cast(log_var_a, tf.float32)
    mean_b, log_var_b = tf.cast(mean_b, tf.float32), tf.cast(log_var_b, tf.float32)
    # The first's share of the precision, 1 / (1 + var_a / var_b): nothing here can overflow.
    share = tf.sigmoid(log_var_b - log_var_a)
    mean = share * mean_a + (1.0 - share) * mean_b
    return mean, log_var_a + tf.math.log_sigmoid(log_var_b - log_var_a)
