"""What the benchmarks share: the matrix peak, and a clock for the steps of a driver."""

import time

import keras
import tensorflow as tf

CLASSES, PIXELS = 10, 784


def matrix_peak(dtype, size: int = 4096, repeats: int = 5) -> float:
    """Return the best rate of a square matrix product, operations a second."""
    a = tf.cast(tf.random.normal((size, size)), dtype)
    product = tf.function(lambda a: tf.reduce_sum(tf.cast(tf.matmul(a, a)[0], tf.float32)))
    product(a).numpy()
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        product(a).numpy()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


class StepTimer(keras.callbacks.Callback):
    """Times the calls of a driver, the first one (tracing, compiling) apart."""

    def __init__(self):
        super().__init__()
        self.last, self.done, self.first, self.seconds = 0.0, 0, 0.0, []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock; the position in the epoch begins anew."""
        self.last, self.done = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        """Note seconds per step of this call."""
        now = time.perf_counter()
        per_step = (now - self.last) / (batch + 1 - self.done)
        if self.first:
            self.seconds.append(per_step)
        else:
            self.first = now - self.last
        self.last, self.done = now, batch + 1
