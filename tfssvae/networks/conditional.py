"""Networks of several inputs that share the work which does not depend on the class."""

from collections.abc import Sequence

import keras

from tfssvae.layers import MergedDense
from tfssvae.layers.block_pass import active_pass


@keras.saving.register_keras_serializable("tfssvae")
class ConditionalNetwork(keras.Model):
    """body(merge(features_0(input_0), features_1(input_1), ...)).

    Each input passes its own features network on its own rows, the merge repeats the products
    (not the inputs) to the rows of the output, and the body sees all rows at once.

    Args:
        features: one keras.Model or layer per input, or None where the input goes straight in.
        merge: the layer in which the inputs meet.
        body: what follows, a keras.Model or layer.
        input_shapes: one shape per input, without the batch axis.
    """

    def __init__(
        self,
        features: Sequence[keras.layers.Layer | None],
        merge: MergedDense,
        body: keras.layers.Layer,
        input_shapes: Sequence[Sequence[int]],
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.features = list(features)
        self.merge = merge
        self.body = body
        self.input_shapes = [tuple(shape) for shape in input_shapes]
        self.build()

    def build(self, input_shape=None):
        shapes = [(None, *shape) for shape in self.input_shapes]
        for index, network in enumerate(self.features):
            if network is not None:
                if not network.built:
                    network.build(shapes[index])
                shapes[index] = network.compute_output_shape(shapes[index])
        if not self.merge.built:
            self.merge.build(shapes)
        if not self.body.built:
            self.body.build((None, self.merge.units))
        self.built = True

    def call(self, inputs, expand=None, training=None):
        """Return the output for each row.

        Args:
            inputs: a list of tensors, one per input.
            expand: as in `layers.MergedDense`: how the rows of each input are repeated.
        """
        repeats = expand or [None] * len(inputs)
        values = [
            value if network is None else _features(network, value, repeat, training)
            for network, value, repeat in zip(self.features, inputs, repeats, strict=True)
        ]
        return self.body(self.merge(values, expand=expand), training=training)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "features": [None if part is None else serialize(part) for part in self.features],
            "merge": serialize(self.merge),
            "body": serialize(self.body),
            "input_shapes": [list(shape) for shape in self.input_shapes],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("features", "merge", "body"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)


def _features(network, value, repeat, training):
    block = active_pass()
    if block is None or repeat is None:
        return network(value, training=training)
    return block.of_examples(network, value, training=training)


def call_network(network, inputs, expand=None, training=None):
    """Call any network of several inputs on rows that some inputs still have to be repeated to.

    A `ConditionalNetwork` repeats its products; any other keras.Model gets repeated inputs, which
    costs more and gives the same.

    Args:
        network: a keras.Model that takes a list of inputs.
        inputs: a list of tensors.
        expand: a list of functions or None, as in `layers.MergedDense`.
    """
    if isinstance(network, ConditionalNetwork):
        return network(inputs, expand=expand, training=training)
    if expand is not None:
        inputs = [
            value if repeat is None else repeat(value)
            for value, repeat in zip(inputs, expand, strict=True)
        ]
    return network(inputs, training=training)
