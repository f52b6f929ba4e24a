"""What a model refuses where a `tf.distribute` strategy shares its steps."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.part_optimizer import accumulation_steps


def check_scope(made: tf.distribute.Strategy | None) -> None:
    """Refuse to work within another strategy than the one that the model was made in.

    Args:
        made: that strategy, None outside of all. (Of a model made outside, Keras's
            `distribute_strategy` is the one in force.)
    """
    if tf.distribute.has_strategy() and tf.distribute.get_strategy() is not made:
        raise InputError(
            "the model was made outside of this strategy: make it, and compile it, within "
            "`with strategy.scope():`"
        )


def check_compile_arguments(strategy, optimizer, settings: Mapping) -> None:
    """Refuse settings of `compile` with which Keras fails on several replicas.

    Args:
        strategy: of the model.
        optimizer: a Keras optimizer.
        settings: the further arguments of `compile`.
    """
    if accumulation_steps(getattr(optimizer, "inner_optimizer", optimizer)):
        raise InputError(
            "Keras does not add up the gradients of several steps on several replicas: leave "
            "gradient_accumulation_steps out, each replica has rows of its own"
        )
    if settings.get("steps_per_execution", 1) != 1 or settings.get("jit_compile") is True:
        raise InputError(
            "on several replicas Keras takes one step a call, without XLA: leave "
            "steps_per_execution and jit_compile out of compile; tfssvae.training.train takes "
            "many steps a call"
        )
    named = [settings.get("metrics"), settings.get("weighted_metrics")]
    metrics = [m for m in tf.nest.flatten(named) if isinstance(m, keras.metrics.Metric)]
    variables = [v for part in (optimizer, *metrics) for v in part.variables]
    made_within = strategy.extended.variable_created_in_scope
    if not all(made_within(variable.value) for variable in variables):
        raise InputError(
            "the optimizer and the metrics were made outside of the model's strategy: make "
            "them, and compile the model, within `with strategy.scope():`"
        )


def check_shares(strategy, rows_per_step: Mapping[str, int]) -> None:
    """Refuse batches that the replicas of a strategy cannot share evenly."""
    replicas = strategy.num_replicas_in_sync
    for name, rows in rows_per_step.items():
        if rows % replicas:
            raise InputError(
                f"{replicas} replicas cannot share {rows} {name} rows a step evenly: use a "
                f"multiple of {replicas}"
            )
