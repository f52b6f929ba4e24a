"""The operations of a training step, counted from the products in its graph.

Every matrix product and convolution counts two operations for each multiplication. The step makes
no gradient of the images. What it makes more than it must are the products of one-hot classes:
17.41 GFLOP for M2, where its layers need 17.27 (`drivers.least_operations`).
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf

_PRODUCTS = ("MatMul", "BatchMatMulV2")
_CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


def _graphs(graph):
    yield graph
    for name in graph._functions if hasattr(graph, "_functions") else ():
        function = graph._get_function(name)
        if function is not None:
            yield from _graphs(function.graph)


def _of_convolution(operation) -> float:
    """2 x places of the output x values of the filter, whichever of the three is computed."""
    shapes = [tensor.shape for tensor in operation.inputs]
    if operation.type == "Conv2D":
        output, filters = operation.outputs[0].shape, shapes[1]
    elif operation.type == "Conv2DBackpropInput":
        output, filters = shapes[2], shapes[1]
    else:
        output, filters = shapes[2], operation.outputs[0].shape
    places = np.prod(output[:3].as_list())
    return 2.0 * places * np.prod(filters.as_list())


def _of_product(operation) -> float:
    shapes = [tensor.shape.as_list() for tensor in operation.inputs]
    left, output = shapes[0], operation.outputs[0].shape.as_list()
    if operation.type == "MatMul":
        shared = left[0] if operation.get_attr("transpose_a") else left[1]
    else:
        shared = left[-2] if operation.get_attr("adj_x") else left[-1]
    return 2.0 * np.prod(output) * shared


def _operations_of(model: keras.Model, data, labelled: int, unlabelled: int) -> list:
    """Return the products and convolutions in the graph of one training step."""
    batch = next(iter(data.train(labelled, unlabelled)))
    model.prepare()
    step = tf.function(lambda: model.train_step(batch), autograph=False)
    return [
        operation
        for graph in _graphs(step.get_concrete_function().graph)
        for operation in graph.get_operations()
        if operation.type in (*_PRODUCTS, *_CONVOLUTIONS)
    ]


def step_operations(model: keras.Model, data, labelled: int, unlabelled: int) -> float:
    """Return the floating-point operations of one training step in matrix products.

    Args:
        model: a compiled method of tfssvae.
        data: a data set that it can be trained on.
        labelled: labelled rows a step.
        unlabelled: unlabelled rows a step.
    """
    found = _operations_of(model, data, labelled, unlabelled)
    return sum(
        _of_product(operation) if operation.type in _PRODUCTS else _of_convolution(operation)
        for operation in found
    )


def seconds_alone(model: keras.Model, data, labelled: int, unlabelled: int) -> float:
    """Return the seconds of a step's products if each ran by itself, one after the other."""
    counts: dict[str, int] = {}
    examples = {}
    for operation in _operations_of(model, data, labelled, unlabelled):
        key = f"{operation.type} {[t.shape for t in operation.inputs]} {operation.outputs[0].shape}"
        counts[key] = counts.get(key, 0) + 1
        examples[key] = operation
    return sum(count * _seconds(examples[key]) for key, count in counts.items())


def _seconds(operation, repeats: int = 5) -> float:
    definition = operation.op_def
    arguments = {
        argument.name: _like(tensor, operation.outputs[0].shape)
        for argument, tensor in zip(definition.input_arg, operation.inputs, strict=True)
    }
    attributes = {
        attribute.name: operation.get_attr(attribute.name)
        for attribute in definition.attr
        if attribute.type != "type"
    }
    attributes = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in attributes.items()
    }
    run = tf.function(lambda: getattr(tf.raw_ops, operation.type)(**arguments, **attributes))
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _like(tensor: tf.Tensor, output: tf.TensorShape) -> tf.Tensor:
    if tensor.dtype.is_integer:  # the sizes of what a gradient has the shape of
        return tf.constant(output.as_list(), tensor.dtype)
    # A variable: of a constant TensorFlow would compute the product once.
    return tf.Variable(tf.random.normal(tensor.shape, dtype=tensor.dtype))
