"""M2 as a user of Keras would write it, for comparison: tiled classes, tf.data, the default fit.

Networks, batches and objective are those of `tfssvae.models.M2`: 784-600-600, z 50, exact over K
classes. What it does not do: share the products with the image among the classes, keep the data on
the device, take several steps in a call.
"""

import keras
import numpy as np
import tensorflow as tf
from measuring import CLASSES, PIXELS

LATENT, HIDDEN = 50, 600
ALPHA = 60.0  # of the classification term: 0.1 x 60,000 / 100


def _mlp(inputs: int, *units: int) -> keras.Model:
    layers = [keras.layers.Dense(size, "relu") for size in units[:-1]]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(units[-1])])


class PlainM2(keras.Model):
    """The semi-supervised VAE of Kingma et al. (2014), straight from its equations."""

    def __init__(self):
        super().__init__()
        self.classifier = _mlp(PIXELS, HIDDEN, CLASSES)
        self.encoder = _mlp(PIXELS + CLASSES, HIDDEN, HIDDEN, 2 * LATENT)
        self.decoder = _mlp(LATENT + CLASSES, HIDDEN, HIDDEN, PIXELS)
        self.loss_tracker = keras.metrics.Mean("loss")

    @property
    def metrics(self):
        """The logged loss."""
        return [self.loss_tracker]

    def negative_bound(self, x, y):
        """Return minus the bound on log p(x, y), (rows,)."""
        mean, log_var = tf.split(self.encoder(tf.concat([x, y], axis=-1)), 2, axis=-1)
        z = mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))
        logits = self.decoder(tf.concat([z, y], axis=-1))
        crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
        divergence = 0.5 * (tf.square(mean) + tf.exp(log_var) - log_var - 1.0)
        return tf.reduce_sum(crossed, -1) + tf.reduce_sum(divergence, -1) + np.log(CLASSES)

    def train_step(self, data):
        """Take a step on ((labelled images, labels), unlabelled images)."""
        (x_l, y_l), x_u = data
        with tf.GradientTape() as tape:
            labelled = self.negative_bound(x_l, tf.one_hot(y_l, CLASSES))
            rows = tf.shape(x_u)[0]
            every_y = tf.tile(tf.eye(CLASSES), [rows, 1])
            per_class = self.negative_bound(tf.repeat(x_u, CLASSES, axis=0), every_y)
            log_q = tf.nn.log_softmax(self.classifier(x_u))
            parts = tf.reshape(per_class, [rows, CLASSES]) + log_q
            unlabelled = tf.reduce_sum(tf.exp(log_q) * parts, axis=-1)
            crossed = keras.losses.sparse_categorical_crossentropy(
                y_l, self.classifier(x_l), from_logits=True
            )
            terms = labelled, unlabelled, ALPHA * crossed
            loss = sum(tf.reduce_mean(term) for term in terms)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


def make_epoch(x: np.ndarray, y: np.ndarray, labelled: int, unlabelled: int, timer):
    """Return a function that trains for one epoch with Keras's fit.

    Args:
        x: (n, 28, 28, 1) uint8 images.
        y: (n,) labels, -1 where there is none.
        labelled: labelled images a step.
        unlabelled: unlabelled images a step.
        timer: a callback.
    """

    def scaled(images):
        return tf.reshape(tf.cast(images, tf.float32), [-1, PIXELS]) / 255.0

    known = tf.data.Dataset.from_tensor_slices((x[y >= 0], y[y >= 0])).shuffle(10_000).repeat()
    known = known.batch(labelled).map(lambda images, labels: (scaled(images), labels))
    others = tf.data.Dataset.from_tensor_slices(x[y < 0]).shuffle(10_000)
    others = others.batch(unlabelled, drop_remainder=True).map(scaled)
    batches = tf.data.Dataset.zip(known, others).prefetch(tf.data.AUTOTUNE)
    model = PlainM2()
    model.compile(keras.optimizers.Adam(3e-4))
    return lambda: model.fit(batches, epochs=1, verbose=0, callbacks=[timer])
