"""Random numbers that are a function of (seed, step, call): there is no random state to save."""

import tensorflow as tf

_MIX = 1_000_003  # an odd constant: the keys of neighbouring seeds never meet within a step


class Noise:
    """A sequence of draws for one step of one model.

    The n-th call of a step returns the same numbers in every run, every process and after every
    resume. Philox is named because it is the fast generator of both the plain graph and XLA (which
    do not draw the same bits as each other). Draws are float32, whatever the precision of the
    networks.

    Under a `tf.distribute` strategy the first axis is the batch: each replica draws the numbers of
    the global batch and keeps its own rows, so that two replicas see what one device would.

    Args:
        seed: the model's seed, a Python or tensor integer.
        step: the training step, a Python or tensor integer.
    """

    def __init__(self, seed, step):
        self._seed = tf.cast(seed, tf.int32) * _MIX
        self._step = tf.cast(step, tf.int32)
        self._calls = 0

    def normal(self, shape) -> tf.Tensor:
        """Return standard normal draws of the given shape."""
        return self._draw(tf.random.stateless_normal, shape)

    def uniform(self, shape) -> tf.Tensor:
        """Return draws from the open interval (0, 1): 0 itself never occurs."""
        smallest = 2.0**-126  # the smallest normal float32: log(-log u) stays finite
        return self._draw(
            lambda *args, **kwargs: tf.random.stateless_uniform(*args, minval=smallest, **kwargs),
            shape,
        )

    def gumbel(self, shape) -> tf.Tensor:
        """Return standard Gumbel draws: argmax(logits + gumbel) samples the categorical."""
        return -tf.math.log(-tf.math.log(self.uniform(shape)))

    def key(self) -> tf.Tensor:
        """Return the seed of the next draw, (2,) int32, for stateless samplers of others."""
        key = tf.stack([self._seed + self._calls, self._step])
        self._calls += 1
        return key

    def _draw(self, sampler, shape) -> tf.Tensor:
        key = self.key()
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return sampler(shape, seed=key, alg="philox")
        rows = shape[0]
        everywhere = sampler(
            (rows * replica.num_replicas_in_sync, *shape[1:]), seed=key, alg="philox"
        )
        first = replica.replica_id_in_sync_group * rows
        return everywhere[first : first + rows]
