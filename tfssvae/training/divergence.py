"""A guard against losses and weights that are no longer numbers."""

import logging
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfssvae.checks import DivergenceError
from tfssvae.data import Data
from tfssvae.data.pipeline import Order, endless_batches, training_order

_LOG = logging.getLogger("tfssvae")
_SECONDS = 1.0  # from one look at all weights to the next


class Break(NamedTuple):
    """Where training broke.

    Attributes:
        step: the first step, counted from 0, in which something was not finite.
        terms: the terms of the loss that were not; monitors where no term was.
        together: whether most terms broke in this very step: then none of them is the cause, but
            the weights that the step before left.
    """

    step: int
    terms: tuple[str, ...]
    together: bool


class DivergenceGuard(keras.callbacks.Callback):
    """Stop training as soon as a term of the loss is not finite; say which, and keep the batch.

    Every step notes in the graph which terms were finite, so that the first that was not is known
    even where one call runs many steps. Put the guard before a `Checkpoint`, which would otherwise
    keep what is lost.

    Weights that the gradient broke without any term are looked for once a second, at the end of
    every epoch and at the end.

    In float16 a step that overflows is skipped by the optimizer, which halves the scale of the loss
    for the next: that stops nothing as long as the weights are finite and the scale is 1 or more,
    but is logged as a warning, since the means of that epoch are lost.

    Args:
        folder: where `step-<number>.npz` goes, for the step that broke and the one before: images
            and labels as the model saw them, and their rows of `x_train`. None keeps no batch.
        data: what the model is trained on; needed for the batches, as are the following, which
            are those of `data.train`.
        labelled: labelled rows per step.
        unlabelled: unlabelled rows per step.
        unfeatured: labels without images per step.
        seed: of the shuffling; None is that of the data set.

    Raises:
        DivergenceError: a term of the loss is not finite in training or in validation.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        data: Data | None = None,
        labelled: int = 100,
        unlabelled: int = 200,
        unfeatured: int = 100,
        seed: int | None = None,
    ):
        super().__init__()
        self.folder = None if folder is None or data is None else Path(folder)
        self.data = data
        self.batch = {"labelled": labelled, "unlabelled": unlabelled, "unfeatured": unfeatured}
        self.seed = seed
        self._epoch_start = 0
        self._validated = self._warned = False
        self._looked_at = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Remember the step at which the epoch began, which may be resumed in its midst."""
        taken = _finite_steps(self.model).max(initial=0)
        self._epoch_start = int(self.model.steps_done.numpy()) - int(taken)
        self._validated = self._warned = False

    def on_train_batch_end(self, batch, logs=None):
        """Look at the terms of the steps so far, and now and then at the weights."""
        self._look_at_training()
        if time.monotonic() - self._looked_at > _SECONDS:
            self._look_at_weights()

    def on_test_begin(self, logs=None):
        """Look at training before validation begins its own means."""
        self._look_at_training()
        self._validated = True

    def on_test_end(self, logs=None):
        """Look at the terms of the validation."""
        broken = _terms_and_others(self.model, np.isfinite(_totals(self.model)))
        if broken:
            step = int(self.model.steps_done.numpy())
            raise DivergenceError(
                f"validation after step {step} broke: {_listed(broken)} of the validation data is "
                "not finite"
            )

    def on_epoch_end(self, epoch, logs=None):
        """Look at the weights that the last step left."""
        self._look_at_weights()

    def _look_at_weights(self) -> None:
        self._looked_at = time.monotonic()
        try:
            check_weights(self.model)
        except DivergenceError as error:
            raise DivergenceError(f"{error}{self._keep(_last_step(self.model))}") from None

    def _look_at_training(self) -> None:
        if self._validated:
            return
        found = first_break(self.model, self._epoch_start)
        if found is None:
            return
        if not self._recovers():
            raise DivergenceError(_sentence(found) + self._keep(found.step))
        if not self._warned:
            message = "step %d: %s overflowed in half precision, and the step was skipped"
            _LOG.warning(message, found.step, _listed(found.terms))
        self._warned = True

    def _recovers(self) -> bool:
        optimizer = self.model.optimizer
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return False
        return float(optimizer.dynamic_scale.numpy()) >= 1 and _weights_are_finite(self.model)

    def _keep(self, broken: int) -> str:
        """Write the batches of a step and the one before; return the end of the sentence."""
        if self.folder is None or self.data is None:
            return ""
        order = training_order(self.data, **self.batch, seed=self.seed)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for step in range(max(0, broken - 1), broken + 1):
                path = self.folder / f"step-{step:09d}.npz"
                np.savez_compressed(path, **_batch_of(self.data, order, step))
        except OSError as error:
            return f"; its batch could not be kept: {error}"
        return f"; its batch is in {path}"


def check_weights(model) -> None:
    """Refuse weights that are not finite.

    Raises:
        DivergenceError: naming the step whose gradient left them.
    """
    if not _weights_are_finite(model):
        raise DivergenceError(
            f"training diverged in step {_last_step(model)}: its gradient left weights that are "
            "not finite"
        )


def _weights_are_finite(model) -> bool:
    return all(np.isfinite(weights.numpy()).all() for weights in model.trainable_weights)


def _last_step(model) -> int:
    return int(model.steps_done.numpy()) - 1


def first_break(model, epoch_start: int) -> Break | None:
    """Return where the current epoch of training broke, or None where everything is finite.

    Args:
        model: whose steps are watched.
        epoch_start: the step at which the epoch began.
    """
    finite = np.isfinite(_totals(model))
    if finite.all():
        return None
    steps = _finite_steps(model)
    first = int(steps[~finite].min())
    terms = _terms_and_others(model, finite | (steps > first))
    watched = [name for name in model.term_means.names if name in model.term_weights]
    return Break(epoch_start + first, terms, len(terms) > max(1, len(watched) // 2))


def _batch_of(data: Data, order: Order, step: int) -> dict[str, Any]:
    inputs, *labels = next(iter(endless_batches(data, order, step)))
    labelled, unlabelled = (rows[0] for rows in order.rows(step, 1))
    arrays = {name: value.numpy() for name, value in inputs.items()}
    if labels:
        arrays["labels"] = labels[0].numpy()
    return {**arrays, "labelled_rows": labelled, "unlabelled_rows": unlabelled}


def _totals(model) -> np.ndarray:
    return model.term_means.total.numpy()


def _finite_steps(model) -> np.ndarray:
    replicas = model.distribute_strategy.num_replicas_in_sync
    return model.term_means.finite_steps.numpy().astype(int) // replicas


def _terms_and_others(model, finite: np.ndarray) -> tuple[str, ...]:
    """Return the terms that are not finite; what is only monitored where no term is to blame."""
    names = [name for name, good in zip(model.term_means.names, finite, strict=True) if not good]
    return tuple([name for name in names if name in model.term_weights] or names)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sentence(found: Break) -> str:
    where = f"training diverged in step {found.step}"
    if found.together:
        return f"{where}: most terms broke together, so the gradient of the step before is to blame"
    return f"{where}: {_listed(found.terms)} ceased to be finite first"
