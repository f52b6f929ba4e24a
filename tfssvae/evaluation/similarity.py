"""Structural similarity of images, and how diverse a set of images is (EXoN, eq. 24)."""

import tensorflow as tf
from numpy.typing import ArrayLike

from tfssvae.checks import InputError, check_images
from tfssvae.layers import scale_images

# Of Wang et al. (2004), for images in [0, 1].
_WINDOW, _SIGMA = 11, 1.5  # pixels
_C1, _C2 = 0.01**2, 0.03**2
_BLOCK = 1 << 23  # (window, pair) values in one block: 32 MiB for each temporary


def negative_ssim(images: ArrayLike) -> tf.Tensor:
    """Negative mean structural similarity of all pairs, (1 - mean SSIM) / 2 (EXoN, eq. 24).

    The mean runs over X x X, each image with itself included, so that n copies of one image have
    0. SSIM is that of Wang et al. (2004): Gaussian windows of 11x11 pixels and standard deviation
    1.5 inside the image, or of the largest odd size that fits; channels are averaged.

    Args:
        images: (n, height, width) or (n, height, width, channels), uint8 or float in [0, 1].

    Returns:
        A float32 scalar in [0, 1]: the larger, the more diverse.

    Raises:
        InputError: images are not as described.

    >>> float(negative_ssim([[[0.0] * 8] * 8] * 3))
    0.0
    """
    pixels = check_images(images, "images")
    if pixels.ndim != 4:
        raise InputError(f"images must have shape (n, height, width, channels), got {pixels.shape}")
    side = min(_WINDOW, *pixels.shape[1:3])
    side -= 1 - side % 2
    if side < 2:
        raise InputError(f"images must have at least 3x3 pixels, got {pixels.shape[1:3]}")
    values = _windows(tf.constant(pixels), side)
    weights = _gaussian_window(side)
    mean = tf.reduce_sum(weights * values, axis=-1, keepdims=True)
    centred = (values - mean) * tf.sqrt(weights)
    mean, variance = mean[..., 0], tf.reduce_sum(tf.square(centred), axis=-1)
    count, places = mean.shape
    block = max(1, _BLOCK // (count * places))
    total = tf.add_n(
        [
            _sum_of_similarities(
                *(part[start : start + block] for part in (mean, variance, centred)),
                *(mean, variance, centred),
            )
            for start in range(0, count, block)
        ]
    )
    return tf.cast(0.5 * (1 - total / (count**2 * places)), tf.float32)


def _gaussian_window(side: int) -> tf.Tensor:
    """Return the weight of each pixel of a window, (side^2,), 1 in all."""
    squared = tf.square(tf.range(side, dtype=tf.float32) - side // 2)
    return tf.nn.softmax(-tf.reshape(squared[:, None] + squared, [-1]) / (2 * _SIGMA**2))


def _windows(images, side: int) -> tf.Tensor:
    """Return the pixels of every window of each image and channel: (n, places, side^2)."""
    pixels = scale_images(images)
    count, _, _, channels = pixels.shape
    patches = tf.image.extract_patches(
        pixels, [1, side, side, 1], [1, 1, 1, 1], [1, 1, 1, 1], "VALID"
    )
    apart = tf.reshape(patches, [count, -1, side**2, channels])
    return tf.reshape(tf.transpose(apart, [0, 1, 3, 2]), [count, -1, side**2])


@tf.function(reduce_retracing=True, autograph=False)
def _sum_of_similarities(mean_1, variance_1, centred_1, mean_2, variance_2, centred_2):
    """Return the sum of SSIM over windows and pairs of (a, p, ...) with (b, p, ...), float64."""
    # The covariances of all pairs in a window are one matrix product.
    covariance = tf.einsum("apw,bpw->pab", centred_1, centred_2)
    first = [tf.transpose(part)[:, :, None] for part in (mean_1, variance_1)]
    second = [tf.transpose(part)[:, None] for part in (mean_2, variance_2)]
    (m_1, v_1), (m_2, v_2) = first, second
    luminance = (2 * m_1 * m_2 + _C1) / (m_1 * m_1 + m_2 * m_2 + _C1)
    structure = (2 * covariance + _C2) / (v_1 + v_2 + _C2)
    return tf.reduce_sum(tf.cast(tf.reduce_sum(luminance * structure, axis=0), tf.float64))
