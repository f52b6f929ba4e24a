"""A dense layer on several inputs at once that never repeats a product."""

import math

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfssvae")
class MergedDense(keras.layers.Layer):
    """A dense layer on the concatenation of its inputs, computed as a sum of linear maps.

    W [a, b] + c = W_a a + W_b b + c: each product is made on as few rows as its input has, and
    only its result is repeated; inputs with the same rows share one product. With b a one-hot class
    this is how marginalising over K classes costs one product with a instead of K.

    Args:
        units: the number of outputs.
        activation: a Keras activation.
        seed: of the initial weights; None draws from Keras's global seed.
        use_bias: whether c is there.
    """

    def __init__(
        self, units: int, activation=None, seed: int | None = None, use_bias: bool = True, **kwargs
    ):
        super().__init__(**kwargs)
        self.units = int(units)
        self.seed = seed
        self.use_bias = bool(use_bias)
        self.activation = keras.activations.get(activation)
        self.kernels: list = []
        self.bias = None

    def build(self, input_shape):
        widths = [int(shape[-1]) for shape in input_shape]
        # Glorot's limit of the whole matrix, as a dense layer on the concatenation would have.
        limit = math.sqrt(6.0 / (sum(widths) + self.units))
        for index, width in enumerate(widths):
            seed = None if self.seed is None else self.seed + index
            kernel = self.add_weight(
                shape=(width, self.units),
                initializer=keras.initializers.RandomUniform(-limit, limit, seed=seed),
                name=f"kernel_{index}",
            )
            self.kernels.append(kernel)
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs, expand=None):
        """Return activation(sum_i W_i inputs_i + bias).

        Args:
            inputs: a list of (rows_i, d_i) tensors; those that are repeated alike have as many
                rows.
            expand: a list of functions, or None where an input has its final rows, that repeat
                the rows of a product (rows_i, units) to the rows of the output.

        Returns:
            (rows, units).
        """
        repeats = expand or [None] * len(inputs)
        groups = {}  # inputs whose rows are repeated alike share a product
        for value, kernel, repeat in zip(inputs, self.kernels, repeats, strict=True):
            groups.setdefault(repeat, []).append((value, kernel))
        products = []
        # Products to be repeated come first: on their few rows the bias costs the least.
        for repeat, members in sorted(groups.items(), key=lambda item: item[0] is None):
            values, kernels = zip(*members, strict=True)
            product = tf.matmul(tf.concat(values, axis=-1), tf.concat(kernels, axis=0))
            if self.bias is not None and not products:
                product = tf.nn.bias_add(product, self.bias)
            products.append(product if repeat is None else repeat(product))
        return self.activation(tf.add_n(products))

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "seed": self.seed,
            "use_bias": self.use_bias,
        }
