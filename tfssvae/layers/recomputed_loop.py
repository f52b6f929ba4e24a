"""A loop whose memory is that of one turn, also where gradients pass through it."""

from collections.abc import Callable

import tensorflow as tf

from tfssvae.checks import InputError

_HARMLESS = {  # operations that TensorFlow counts as stateful, and that change nothing themselves
    "Assert",
    "Case",
    "If",
    "PartitionedCall",
    "PrintV2",
    "ReadVariableOp",
    "ResourceGather",
    "ResourceGatherNd",
    "StatefulPartitionedCall",
    "While",
}


def recomputed_loop(turn: Callable, inputs, times: int, like):
    """Return what `turn(index, inputs)` gives for index 0 to `times` - 1, stacked on a new axis.

    Turns follow one another, and nothing of a turn is kept but what it returns: the backward pass
    computes it again. TensorFlow's own gradient of a loop would keep every turn.

    Args:
        turn: function of a scalar tensor and of `inputs`, that returns a structure of tensors.
            Gradients pass to `inputs` and to variables; of other tensors that it uses it has none.
        inputs: a structure of float tensors.
        times: how often.
        like: what `turn` returns has this structure and these dtypes.

    Raises:
        InputError: a turn changes something, or draws random numbers of its own, so that it would
            not be the same again.
    """

    def flat_turn(index, flat_inputs):
        return tf.nest.flatten(turn(index, tf.nest.pack_sequence_as(inputs, flat_inputs)))

    @tf.custom_gradient
    def run(*flat_inputs):
        def write(index, arrays):
            values = flat_turn(index, flat_inputs)
            _refuse_state()
            return [array.write(index, v) for array, v in zip(arrays, values, strict=True)]

        def gradient(*upstream, variables=()):
            sources = [*flat_inputs, *variables]
            reached: list[bool] = []

            def add(index, totals):
                with tf.GradientTape() as tape:
                    tape.watch(flat_inputs)
                    values = flat_turn(index, flat_inputs)
                found = tape.gradient(values, sources, [value[index] for value in upstream])
                reached[:] = [value is not None for value in found]
                return [
                    total if value is None else total + tf.cast(value, total.dtype)
                    for total, value in zip(totals, found, strict=True)
                ]

            # Sums of half precision are float32, whatever they are sums of.
            zeros = [tf.zeros(tf.shape(value), tf.float32) for value in sources]
            totals = _loop(add, zeros, times)
            gradients = [
                tf.cast(total, source.dtype) if was else None
                for total, source, was in zip(totals, sources, reached, strict=True)
            ]
            of_inputs, of_variables = gradients[: len(flat_inputs)], gradients[len(flat_inputs) :]
            return (of_inputs, of_variables) if variables else of_inputs

        arrays = [tf.TensorArray(value.dtype, times) for value in tf.nest.flatten(like)]
        return [array.stack() for array in _loop(write, arrays, times)], gradient

    return tf.nest.pack_sequence_as(like, run(*tf.nest.flatten(inputs)))


def _loop(body: Callable, values: list, times: int) -> list:
    return tf.while_loop(
        lambda index, values: index < times,
        lambda index, values: (index + 1, body(index, values)),
        (tf.constant(0), values),
        parallel_iterations=1,
        maximum_iterations=times,
    )[1]


def _refuse_state() -> None:
    if tf.executing_eagerly():
        return
    graph = tf.compat.v1.get_default_graph()
    definition = graph.as_graph_def()
    # What a call, a branch or a loop does stands in a function of its own.
    parts = [("", definition.node)]
    parts += [(f"{f.signature.name}/", f.node_def) for f in definition.library.function]
    for where, nodes in parts:
        for node in nodes:
            if node.op in _HARMLESS or not graph.op_def_for_type(node.op).is_stateful:
                continue
            name = node.name.removeprefix("while/")
            layer = where + (name.rpartition("/")[0] or name)
            raise InputError(
                f'class_block computes a block of classes twice in a step, and "{layer}" changes a '
                "state or draws random numbers, so that the second time would not be the same: "
                "leave class_block out, or that layer (of batch normalisations, use "
                "tfssvae.layers.BatchNormalization)"
            )
