"""M2, ADGM and LVAE as a user of Keras would write them: tiled classes, tf.data, the default fit.

Networks, batches and objectives are those of `tfssvae.models`, exact over K classes; LVAE's layers
normalise labelled and unlabelled rows apart. What these do not do: share the products with the
image among the classes, keep the data on the device, take several steps in a call.
"""

import keras
import numpy as np
import tensorflow as tf
from measuring import CLASSES, PIXELS

ALPHA = 60.0  # of the classification term: 0.1 x 60,000 / 100


def _mlp(inputs: int, *units: int) -> keras.Model:
    hidden = [keras.layers.Dense(size, "relu") for size in units[:-1]]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(units[-1])])


def _draw(parameters):
    """Return (mean, log-variance, a sample) of a network's output."""
    mean, log_var = tf.split(parameters, 2, axis=-1)
    return mean, log_var, mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))


def _cross_entropy(x, logits):
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), -1)


def _kl(mean, log_var, mean_p=0.0, log_var_p=0.0):
    ratio, distance = log_var - log_var_p, tf.square(mean - mean_p) * tf.exp(-log_var_p)
    return 0.5 * tf.reduce_sum(tf.exp(ratio) + distance - 1.0 - ratio, axis=-1)


def _log_normal(value, mean, log_var):
    squared = tf.square(value - mean) * tf.exp(-log_var)
    return -0.5 * tf.reduce_sum(squared + log_var + np.log(2 * np.pi), axis=-1)


class PlainModel(keras.Model):
    """The objective that the three methods share, exact over y."""

    def __init__(self):
        super().__init__()
        self.loss_tracker = keras.metrics.Mean("loss")

    @property
    def metrics(self):
        """The logged loss."""
        return [self.loss_tracker]

    def auxiliary(self, x):
        """Return what is drawn before the class: only ADGM has such a variable."""
        return ()

    def classify(self, x, auxiliary):
        """Return the logits of q(y|x), (rows, K)."""
        return self.classifier(x, training=True)

    def negative_bound(self, x, y, auxiliary):
        """Return minus the bound on log p(x, y), (rows,)."""
        raise NotImplementedError

    def train_step(self, data):
        """Take a step on ((labelled images, labels), unlabelled images)."""
        (x_l, y_l), x_u = data
        with tf.GradientTape() as tape:
            a_l, a_u = self.auxiliary(x_l), self.auxiliary(x_u)
            labelled = self.negative_bound(x_l, tf.one_hot(y_l, CLASSES), a_l)
            rows = tf.shape(x_u)[0]
            every_y = tf.tile(tf.eye(CLASSES), [rows, 1])
            tiled, *tiled_a = (tf.repeat(part, CLASSES, axis=0) for part in (x_u, *a_u))
            per_class = self.negative_bound(tiled, every_y, tiled_a)
            log_q = tf.nn.log_softmax(self.classify(x_u, a_u))
            parts = tf.reshape(per_class, [rows, CLASSES]) + log_q
            unlabelled = tf.reduce_sum(tf.exp(log_q) * parts, axis=-1)
            crossed = keras.losses.sparse_categorical_crossentropy(
                y_l, self.classify(x_l, a_l), from_logits=True
            )
            terms = labelled, unlabelled, ALPHA * crossed
            loss = sum(tf.reduce_mean(term) for term in terms)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


class PlainM2(PlainModel):
    """The semi-supervised VAE of Kingma et al. (2014): 784-600-600, z 50."""

    def __init__(self):
        super().__init__()
        self.classifier = _mlp(PIXELS, 600, CLASSES)
        self.encoder = _mlp(PIXELS + CLASSES, 600, 600, 2 * 50)
        self.decoder = _mlp(50 + CLASSES, 600, 600, PIXELS)

    def negative_bound(self, x, y, auxiliary):
        mean, log_var, z = _draw(self.encoder(tf.concat([x, y], axis=-1)))
        logits = self.decoder(tf.concat([z, y], axis=-1))
        return _cross_entropy(x, logits) + _kl(mean, log_var) + np.log(CLASSES)


class PlainADGM(PlainModel):
    """The auxiliary deep generative model of Maaloe et al. (2016): 784-500-500, a and z 100."""

    def __init__(self):
        super().__init__()
        self.auxiliary_encoder = _mlp(PIXELS, 500, 500, 2 * 100)
        self.classifier = _mlp(PIXELS + 100, 500, CLASSES)
        self.encoder = _mlp(PIXELS + 100 + CLASSES, 500, 500, 2 * 100)
        self.auxiliary_decoder = _mlp(PIXELS + CLASSES + 100, 500, 500, 2 * 100)
        self.decoder = _mlp(CLASSES + 100, 500, 500, PIXELS)

    def auxiliary(self, x):
        return _draw(self.auxiliary_encoder(x))

    def classify(self, x, auxiliary):
        return self.classifier(tf.concat([x, auxiliary[2]], axis=-1))

    def negative_bound(self, x, y, auxiliary):
        mean_a, log_var_a, a = auxiliary
        mean, log_var, z = _draw(self.encoder(tf.concat([x, a, y], axis=-1)))
        p_a = tf.split(self.auxiliary_decoder(tf.concat([x, y, z], axis=-1)), 2, axis=-1)
        logits = self.decoder(tf.concat([y, z], axis=-1))
        kl_a = _log_normal(a, mean_a, log_var_a) - _log_normal(a, *p_a)
        return _cross_entropy(x, logits) + _kl(mean, log_var) + kl_a + np.log(CLASSES)


class PlainLVAE(PlainModel):
    """The ladder VAE of Sonderby et al. (2016) with a class: z 32-16-8, three layers of 128."""

    def __init__(self):
        super().__init__()
        inputs, sizes = (PIXELS, 128, 128 + CLASSES), (32, 16, 8)
        self.upward = [self._hidden(size) for size in inputs]
        self.heads_q = [_mlp(128, 2 * size) for size in sizes]
        self.downward = [self._hidden(16), self._hidden(8 + CLASSES)]
        self.heads_p = [_mlp(128, 2 * size) for size in sizes[:2]]
        self.decoder = keras.Sequential([self._hidden(32), keras.layers.Dense(PIXELS)])
        self.classifier = keras.Sequential([self._hidden(PIXELS), keras.layers.Dense(CLASSES)])

    @staticmethod
    def _hidden(inputs: int) -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((inputs,)),
                keras.layers.Dense(128),
                keras.layers.BatchNormalization(),
                keras.layers.LeakyReLU(),
            ]
        )

    def negative_bound(self, x, y, auxiliary):
        seen, features = [], x
        for level, (network, head) in enumerate(zip(self.upward, self.heads_q, strict=True)):
            inputs = tf.concat([features, y], axis=-1) if level == 2 else features
            features = network(inputs, training=True)
            seen.append(tf.split(head(features), 2, axis=-1))
        mean, log_var = seen[2]
        z = mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))
        total = _kl(mean, log_var)
        for level in (1, 0):
            inputs = tf.concat([z, y], axis=-1) if level == 1 else z
            features = self.downward[level](inputs, training=True)
            mean_p, log_var_p = tf.split(self.heads_p[level](features), 2, axis=-1)
            mean_q, log_var_q = seen[level]
            precision_q, precision_p = tf.exp(-log_var_q), tf.exp(-log_var_p)
            precision = precision_q + precision_p
            mean = (mean_q * precision_q + mean_p * precision_p) / precision
            log_var = -tf.math.log(precision)
            z = mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))
            total += _kl(mean, log_var, mean_p, log_var_p)
        return _cross_entropy(x, self.decoder(z, training=True)) + total + np.log(CLASSES)


MODELS = {"m2": PlainM2, "adgm": PlainADGM, "lvae": PlainLVAE}


def train(method: str, x: np.ndarray, y: np.ndarray, labelled: int, unlabelled: int, timer) -> None:
    """Train for one epoch with Keras's fit.

    Args:
        method: "m2", "adgm" or "lvae".
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
    model = MODELS[method]()
    model.compile(keras.optimizers.Adam(3e-4))
    model.fit(batches, epochs=1, verbose=0, callbacks=[timer])
