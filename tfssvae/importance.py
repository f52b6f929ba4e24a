"""The importance-weighted bound on log p(x), in blocks of samples (Burda et al., 2016).

Its memory depends neither on the number of samples nor on that of the examples.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfssvae.noise import Noise

_BLOCK_ROWS = 2500  # (example, sample) pairs in one block: they fit in the cache
_BLOCKS_AT_ONCE = 4  # blocks that may overlap, which keeps every core at work
_BLOCKS_PER_CALL = 20  # between two reports of progress


def log_sum_weights(log_weights: Callable[[Noise], tf.Tensor], rows, block, wanted, seed, step):
    """Return log sum of `wanted` importance weights of each example, `block` at a time.

    Args:
        log_weights: returns log p(x, latents) - log q(latents|x), (rows, block) nats, of the
            latents that a noise draws.
        rows: number of examples.
        block: samples of each example at a time.
        wanted: samples of each example.
        seed: of the noise.
        step: of the noise of the first block.

    Returns:
        (rows,) nats.
    """

    def add(index, total):
        found = log_weights(Noise(seed, step + index))
        counts = index * block + tf.range(block) < wanted
        found = tf.where(counts, found, -np.inf)
        both = tf.concat([total[:, None], found], axis=-1)
        return index + 1, tf.reduce_logsumexp(both, axis=-1)

    return tf.while_loop(
        lambda index, total: index * block < wanted,
        add,
        (0, tf.fill([rows], -np.inf)),
        parallel_iterations=_BLOCKS_AT_ONCE,
    )[1]


def bound(
    log_sum: Callable[..., tf.Tensor],
    x: np.ndarray,
    num_samples: int,
    seed: int,
    batch_size: int,
    verbose: int,
) -> np.ndarray:
    """Return the bound of each example, a batch of them and some blocks at a time.

    Args:
        log_sum: `log_sum_weights` of images (batch, ...), as a function of them and of block,
            wanted, seed and step.
        x: (n, ...) images.
        num_samples: importance samples per example.
        seed: of the samples.
        batch_size: examples at a time.
        verbose: 1 shows a progress bar.

    Returns:
        (n,) float32 nats.
    """
    block = min(num_samples, max(1, _BLOCK_ROWS // batch_size))
    per_call = block * _BLOCKS_PER_CALL
    calls = -(-num_samples // per_call)
    batches = -(-len(x) // batch_size)
    progress = keras.utils.Progbar(batches * calls, verbose=verbose, unit_name="block")
    bounds = []
    for batch in range(batches):
        rows = tf.constant(x[batch * batch_size : (batch + 1) * batch_size])
        parts = []
        for call in range(calls):
            wanted = tf.constant(min(per_call, num_samples - call * per_call))
            step = tf.constant((batch * calls + call) * _BLOCKS_PER_CALL)
            parts.append(log_sum(rows, block, wanted, tf.constant(seed), step))
            if verbose:
                progress.add(1)
        bounds.append(tf.reduce_logsumexp(parts, axis=0).numpy() - np.log(num_samples))
    return np.concatenate(bounds).astype("float32")
