"""A configuration as a compiled model."""

import copy
from typing import Any

import keras
import numpy as np

import tfssvae
from tfssvae import limits
from tfssvae.checks import InputError, closest
from tfssvae.core import SemiSupervisedVAE, constructor_arguments
from tfssvae.data import Data
from tfssvae.data.pipeline import Order, training_order
from tfssvae.defaults import default_weights
from tfssvae.library_errors import reason
from tfssvae.model_files import check_parts, counted_variables
from tfssvae.replicas import strategy_of
from tfssvae.strategy_checks import check_shares
from tfssvae.suitability import check_suits

MIN_STEPS, _MIN_EPOCHS = 400, 20  # of a run that names no epochs
_TRUSTED_MODULES = ("keras.optimizers", "keras.optimizers.schedules")


def check_method(method: str, arguments: dict[str, Any]) -> None:
    """Refuse an unknown method, or arguments that it does not have."""
    if method not in tfssvae.METHODS:
        raise InputError(f"unknown method {method!r}: {closest(method, tfssvae.METHODS)}")
    known = constructor_arguments(tfssvae.METHODS[method])
    for name in arguments:
        if name not in known:
            raise InputError(f"{method} has no argument {name!r}: {closest(name, known)}")


def filled(config: dict[str, Any], data: Data) -> dict[str, Any]:
    """Replace None by what suits the data, so that config.json says what was done."""
    config, replicas = dict(config), config.get("replicas", 1)
    for part, default in (("labelled", 100), ("unlabelled", 200)):
        rows = len(getattr(data, f"{part}_indices"))
        if config[part] is None:
            fitting = min(default, rows)
            shared = fitting - fitting % replicas  # as many for each replica
            config[part] = shared or fitting  # too few are refused later, with their number
    steps = order_of(config, data).steps_per_epoch
    if config["epochs"] is None:
        config["epochs"] = max(_MIN_EPOCHS, -(-MIN_STEPS // steps))
    return config


def order_of(config: dict[str, Any], data: Data) -> Order:
    """Return the order in which the run sees the rows of its data."""
    return training_order(data, config["labelled"], config["unlabelled"])


def build(config: dict[str, Any], data: Data) -> SemiSupervisedVAE:
    """Return the compiled model of a run.

    Raises:
        InputError: the method does not take its arguments.
    """
    _check_whole(config)
    keras.utils.set_random_seed(config["data"]["seed"])
    strategy = strategy_of(config.get("replicas", 1))
    try:
        with strategy.scope(), counted_variables(limits.check_free):
            model = _made(config, data)
    except InputError:
        raise
    # Constructors raise nearly anything when their arguments are not what they should be.
    except Exception as error:
        chosen = ", ".join(f"{name}={value!r:.80}" for name, value in config["model"].items())
        raise InputError(
            f"{config['method']} cannot be made with {chosen or 'its defaults'}: {reason(error)}"
        ) from error
    check_suits(model, data, config["method"])
    with strategy.scope():
        model.compile(make_optimizer(config), metrics=["accuracy"])
    rows = {**order_of(config, data).rows_per_step, "unfeatured": config.get("unfeatured", 0)}
    check_shares(model.distribute_strategy, rows)
    return model


def validation_figures(config: dict[str, Any], data: Data) -> list[str]:
    """Return the names of what is measured on validation data after each epoch of a run.

    Args:
        config: see `train.start_run`.
        data: its data.

    Raises:
        InputError: the method does not take its arguments.
    """
    metrics = build(filled(config, data), data).metrics
    terms = [name for metric in metrics for name in getattr(metric, "names", [])]
    return [f"val_{name}" for name in dict.fromkeys(["accuracy", *terms])]


def _check_whole(config: dict[str, Any]) -> None:
    missing = {"labelled", "unlabelled", "precision", "checkpoint_seconds"} - set(config)
    missing |= {"seed"} - set(config["data"])
    if "optimizer" not in config:
        missing |= {"learning_rate"} - set(config)
    if missing:
        raise InputError(f"the configuration lacks {', '.join(sorted(missing))}")
    constant = "optimizer" not in config and isinstance(config["learning_rate"], int | float)
    if config.get("on_divergence") == "roll_back" and not constant:
        raise InputError(
            "a run rolls back with half its learning rate, which has to be a number for that: set "
            'learning_rate, or on_divergence to "stop"'
        )


def _made(config: dict[str, Any], data: Data) -> SemiSupervisedVAE:
    method = tfssvae.METHODS[config["method"]]
    steps = config["epochs"] * order_of(config, data).steps_per_epoch
    counts = len(data.labelled_indices), len(data.unlabelled_indices)
    pixels = int(np.prod(data.input_shape))
    arguments = {**method.recommended_arguments(pixels, steps), **revived(config["model"])}
    regularizers = arguments.setdefault("regularizers", method.paper_regularizers(**arguments))
    kind = config.get("default_weights", "recommended")
    defaults = default_weights(method, regularizers, *counts, pixels, steps, kind)
    weights = {**defaults, **arguments.pop("weights", {})}
    arguments.setdefault("seed", data.seed)
    return method(
        data.input_shape,
        data.num_classes,
        weights=weights,
        dtype=config["precision"],
        **arguments,
    )


def make_optimizer(config: dict[str, Any]) -> keras.optimizers.Optimizer:
    """Return a new optimizer of the run: Adam of its learning rate, or its own.

    Raises:
        InputError: the configuration describes no optimizer.
    """
    try:
        if "optimizer" not in config:
            return keras.optimizers.Adam(revived(config["learning_rate"]))
        optimizer = revived(config["optimizer"])
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"the learning rate cannot be used: {reason(error)}") from error
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise InputError(f"the configuration has a {type(optimizer).__name__} for an optimizer")
    return optimizer


def revived(value):
    """Return a part of a configuration with its serialised objects made.

    Raises:
        InputError: an object is neither ours nor a Keras optimizer or schedule: a configuration
            runs no code.
    """
    if isinstance(value, list):
        return [revived(part) for part in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {name: revived(part) for name, part in value.items()}
    ours = str(value.get("registered_name")).startswith("tfssvae>")
    if not ours and value.get("module") not in _TRUSTED_MODULES:
        raise InputError(f"a configuration may not hold a {value['class_name']!r}")
    check_parts(value, "the configuration")
    try:
        return keras.saving.deserialize_keras_object(copy.deepcopy(value))  # Keras changes it
    except Exception as error:
        raise InputError(
            f"the configuration of {value['class_name']} is damaged: {reason(error)}"
        ) from None
