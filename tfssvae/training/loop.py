"""The compiled loop: data resident on the device, many steps per call, the model's own step."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from tfssvae import limits
from tfssvae.batch_checks import input_errors
from tfssvae.checks import InputError, check_count, check_positive
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.data.pipeline import (
    Order,
    binarization_noise,
    endless_batches,
    gather_batch,
    training_order,
    unfeatured_labels,
)
from tfssvae.progress_bar import with_progress_bar
from tfssvae.replicas import num_workers, of_this_replica
from tfssvae.strategy_checks import check_shares

_LOG = logging.getLogger("tfssvae")
_STEPS_PER_CALL = 50  # enough to hide the driver, few enough for a lively progress bar
# On a CPU, XLA takes 3 to 5 s to compile M2 and then saves 0.4 ms (64 units) to 7 ms (600) a step.
_XLA_PAYS_FROM_STEPS = 2000
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3D,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def train(
    model: SemiSupervisedVAE,
    data: Data,
    epochs: int = 1,
    labelled: int = 100,
    unlabelled: int = 200,
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    validation_data=None,
    initial_epoch: int | None = None,
    seed: int | None = None,
    steps_per_call: int | Literal["epoch"] | None = None,
    jit_compile: bool | str = "auto",
    resident: bool | None = None,
    verbose: int | str = "auto",
    unfeatured: int = 100,
) -> keras.callbacks.History:
    """Train a compiled model as `model.fit(data.train(labelled, unlabelled))` would.

    Images stay uint8 on the device; the rows of each step are gathered, binarised and scaled
    inside the graph, and one call runs many steps, which matters the more the smaller the model.
    Order of the rows, noise, logs, callbacks and progress bar are those of `fit`; batch-level
    callbacks see every call, not every step. XLA draws other noise than the plain graph: compare
    runs within one mode.

    Args:
        model: a compiled model.
        data: the data set.
        epochs: the epoch to stop at; an epoch is one pass over the unlabelled rows.
        labelled: labelled rows per step.
        unlabelled: unlabelled rows per step.
        callbacks: Keras callbacks.
        validation_data: as in `fit`: batches, such as `data.validation(500)`, or arrays (x, y).
        initial_epoch: the epoch to go on with (the "epoch" of `restore_latest`); of the steps
            that the model has already taken in it only the rest is run. None begins anew.
        seed: of the shuffling; None is that of the data set.
        steps_per_call: steps in one call of the compiled function; None chooses up to 50, "epoch"
            takes all those of an epoch. Batch-level callbacks then see one batch end per epoch:
            the progress bar moves, and a checkpoint or `stop_training` can come, only there; a run
            that was stopped within an epoch goes on with the rest of it in one call. A call is
            given the numbers of its rows, 4 bytes for each row of each of its steps (an epoch of
            60,000 images with 100 + 200 a step: 360 kB); memory is otherwise that of one step.
        jit_compile: whether XLA compiles the loop; "auto" says yes where the epochs have 2000
            steps or more, which pay for the compilation, except for half precision and
            convolutions on a CPU, where XLA is slower, and no for several replicas.
        resident: whether the training images are held on the device; None does so where they
            fit, and says so where they do not.
        verbose: as in `fit`.
        unfeatured: labels without images per step, where the data have any.

    Returns:
        The History, as `fit` does.

    Raises:
        InputError: the model is none of ours or not compiled, or made within another strategy; the
            data are not a `Data`, or of another shape or more classes than the model; an argument
            is none of the above; a batch is larger than the data or cannot be shared by the
            replicas; several replicas are to be compiled by XLA, or several machines to evaluate
            `validation_data`.
    """
    _check_model_and_data(model, data)
    epochs = check_count(epochs, "epochs")
    initial_epoch = None if initial_epoch is None else check_count(initial_epoch, "initial_epoch")
    _check_one_of(jit_compile, (True, False, "auto"), "jit_compile")
    _check_one_of(resident, (True, False, None), "resident")
    _check_one_of(verbose, ("auto", 0, 1, 2), "verbose")
    x, y, weights = _validation_arguments(validation_data)
    order = training_order(data, labelled, unlabelled, seed, unfeatured)
    check_shares(model.distribute_strategy, order.rows_per_step)
    steps = order.steps_per_epoch
    block = _block(steps_per_call, steps)
    compiled = _xla_pays(model, epochs * steps) if jit_compile == "auto" else bool(jit_compile)
    _check_strategy(model.distribute_strategy, compiled, validation_data)
    model.prepare()
    images = _resident_images(data) if resident in (None, True) else None
    if images is None:
        if resident is not False:
            _LOG.warning("the training images do not fit on the device: streaming them instead")
        run = _streaming_call(model, data, order, compiled)
    else:
        run = _resident_call(model, data, order, images, block, compiled)

    verbose = 1 if verbose == "auto" else int(verbose)
    callbacks = [] if callbacks is None else tf.nest.flatten(callbacks)
    calls = keras.callbacks.CallbackList(
        with_progress_bar(callbacks) if verbose else callbacks,
        add_history=True,
        verbose=verbose,
        epochs=epochs,
        steps=steps,
        model=model,
    )
    model.stop_training = False
    calls.on_train_begin()
    logs: dict = {}
    resumed = initial_epoch is not None
    for epoch in range(model._initial_epoch or initial_epoch or 0, epochs):
        done = int(model.steps_done.numpy()) - epoch * steps
        begun = 0 < done <= steps and resumed
        resumed = False
        if begun:  # the metrics of its first steps came with the checkpoint
            logs = _as_floats(model.get_metrics_result())
        else:
            model.reset_metrics()
        calls.on_epoch_begin(epoch)
        for first in range(done if begun else 0, steps, block):
            count = min(block, steps - first)
            calls.on_train_batch_begin(first)
            with input_errors():
                logs = _as_floats(run(count))
            calls.on_train_batch_end(first + count - 1, logs)
            if model.stop_training:
                break
        if validation_data is not None:
            options = {"verbose": 0, "callbacks": calls, "return_dict": True}
            measured = model.evaluate(x, y, sample_weight=weights, **options)
            logs = {**logs, **{f"val_{name}": value for name, value in measured.items()}}
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_weights)
    calls.on_train_end(logs)
    return model.history


def _check_model_and_data(model, data) -> None:
    if not isinstance(model, SemiSupervisedVAE):
        raise InputError(
            f"train takes the models of tfssvae, and fit those of Keras: got {type(model).__name__}"
        )
    if not isinstance(data, Data):
        raise InputError(
            "train takes a data set of tfssvae.data.load or from_arrays, and fit batches and "
            f"arrays: got {type(data).__name__}"
        )
    if not model.compiled:
        raise InputError("compile the model before training: model.compile(optimizer=...)")
    model.check_data(data)


def _validation_arguments(validation_data):
    """Return (x, y, weights) of what `fit` would take to validate on."""
    if isinstance(validation_data, Data):
        raise InputError("validation_data is a data set: give data.validation() or data.test()")
    return keras.utils.unpack_x_y_sample_weight(validation_data)


def _check_one_of(value, known: tuple, name: str) -> None:
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r:.50}")


def _block(steps_per_call: int | str | None, steps: int) -> int:
    """Return the most steps that one call takes, of the `steps` of an epoch."""
    if steps_per_call is None:
        return -(-steps // -(-steps // _STEPS_PER_CALL))  # calls of about the same length
    if isinstance(steps_per_call, str) and steps_per_call == "epoch":
        return steps
    name = 'steps_per_call, where it is neither None nor "epoch",'
    return min(steps, check_positive(steps_per_call, name))


def _resident_call(model, data: Data, order: Order, images, block: int, compiled: bool):
    """Return a function that takes `count` steps on images held on the device."""
    labels, unfeatured = tf.constant(data.y_train), tf.constant(unfeatured_labels(data))
    on_each = model.distribute_strategy.experimental_distribute_values_from_function(
        lambda replica: tf.identity(images)
    )

    @tf.autograph.experimental.do_not_convert  # as in `fit`
    def one_step(images, labels, labelled_rows, unlabelled_rows, drawn):
        noise = binarization_noise(data, model.steps_done)
        rows = of_this_replica(labelled_rows), of_this_replica(unlabelled_rows)
        take = partial(tf.gather, images)
        model.take_step(gather_batch(take, labels, *rows, noise, of_this_replica(drawn)))

    @tf.function(jit_compile=compiled)
    def steps(images, labels, unfeatured, labelled_rows, unlabelled_rows, unfeatured_rows, count):
        index = tf.constant(0)
        while index < count:  # tf.range would have XLA compile once for every count
            drawn = tf.gather(unfeatured, unfeatured_rows[index])
            rows = labelled_rows[index], unlabelled_rows[index]
            model.distribute_strategy.run(one_step, args=(images, labels, *rows, drawn))
            index += 1
        return model.get_metrics_result()

    def call(count: int) -> dict:
        # Always a whole block of rows: one shape, one trace.
        first = int(model.steps_done.numpy())
        rows = (*order.rows(first, block), order.unfeatured_rows(first, block))
        given = (on_each, labels, unfeatured, *map(tf.constant, rows), tf.constant(count))
        # Called directly, TensorFlow would warn of tracing where several models train in a process.
        return steps.get_concrete_function(*given)(*given)

    return call


def _streaming_call(model, data: Data, order: Order, compiled: bool):
    """Return a function that takes `count` steps on batches that tf.data prefetches."""
    iterator = iter(endless_batches(data, order, int(model.steps_done.numpy())))

    @tf.autograph.experimental.do_not_convert  # as in `fit`
    def one_step(batch):
        model.take_step(tf.nest.map_structure(of_this_replica, batch))

    compiled_step = tf.function(one_step, jit_compile=compiled, autograph=False)

    @tf.function
    def steps(count):
        for _ in tf.range(count):
            model.distribute_strategy.run(compiled_step, args=(next(iterator),))
        return model.get_metrics_result()

    return lambda count: steps(tf.constant(count))


def _check_strategy(strategy, compiled: bool, validation_data) -> None:
    if compiled and strategy.num_replicas_in_sync > 1:
        raise InputError("XLA compiles the steps of one device: leave jit_compile out here")
    if validation_data is not None and num_workers(strategy) > 1:
        raise InputError(
            "Keras does not evaluate a model of several machines: leave validation_data out, and "
            "evaluate a checkpoint in a process of its own"
        )


def _resident_images(data: Data) -> tf.Tensor | None:
    """Return the training images as a tensor on the device, or None where they do not fit."""
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    in_memory = isinstance(data.x_train, np.ndarray)
    if not (on_gpu and in_memory) and limits.fills_memory(data.x_train.nbytes):
        return None
    try:
        return tf.identity(tf.constant(np.asarray(data.x_train)))
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return None


def _xla_pays(model, steps: int) -> bool:
    if steps < _XLA_PAYS_FROM_STEPS or model.distribute_strategy.num_replicas_in_sync > 1:
        return False
    if tf.config.list_logical_devices("GPU"):
        return True
    # Of a convolution's gradient XLA makes a plain loop on a CPU: 30 times the time.
    convolves = any(isinstance(layer, _CONVOLUTIONS) for layer in model._flatten_layers())
    return model.dtype_policy.compute_dtype == "float32" and not convolves


def _as_floats(logs: dict) -> dict[str, float]:
    return {name: float(np.asarray(value)) for name, value in logs.items()}
