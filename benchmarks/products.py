"""The operations of a training step, counted from the products in its graph.

Every matrix product and convolution counts two operations for each multiplication. The step makes
no gradient of the images. What it makes more than it must are the products of one-hot classes:
17.41 GFLOP for M2, where its layers need 17.27 (`drivers.least_operations`).
"""

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


def step_operations(model: keras.Model, data, labelled: int, unlabelled: int) -> float:
    """Return the floating-point operations of one training step in matrix products.

    Args:
        model: a compiled method of tfssvae.
        data: a data set that it can be trained on.
        labelled: labelled rows a step.
        unlabelled: unlabelled rows a step.
    """
    batch = next(iter(data.train(labelled, unlabelled)))
    model.prepare()
    step = tf.function(lambda: model.train_step(batch), autograph=False)
    total = 0.0
    for graph in _graphs(step.get_concrete_function().graph):
        for operation in graph.get_operations():
            if operation.type in _PRODUCTS:
                total += _of_product(operation)
            elif operation.type in _CONVOLUTIONS:
                total += _of_convolution(operation)
    return total
