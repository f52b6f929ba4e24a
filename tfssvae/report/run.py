"""A run, read and measured: a finished one, or what its last checkpoint holds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import evaluation
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.evaluation.model_names import model_name
from tfssvae.runs import has_labels, load_run, load_run_data, read_config, read_metrics
from tfssvae.runs.build import build
from tfssvae.training import restore_latest

_BATCH = 500
# What the runs measured and a report does not measure again, by how it begins.
_MEASURED = (
    *("kl_z", "active_units_"),
    *("free_", "distinct_", "teacher_", "log_likelihood_"),
    *("kl_to_prior", "kl_decomposition", "kl_bounds", "activated_units_", "negative_ssim"),
)


@dataclass(frozen=True)
class Run:
    """A run, and what its model says of the test data, or else of the validation data.

    Attributes:
        folder: where it is.
        name: the method and its regularizers; with the folder where two runs would be called alike.
        config: content of config.json.
        metrics: content of metrics.json; of a run that is not finished "history" and "seconds".
        model: the trained model.
        data: its data.
        probs: (n, K) class probabilities of `x`; None without any, and where they are no numbers.
        bounds: (n,) bound of each, nats; None likewise.
        figures: what `classification_report`, `information_report` and, when the run was measured,
            `layer_report`, `free_class_report`, `latent_report` and `teacher_report` say of them;
            else empty.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    model: SemiSupervisedVAE
    data: Data
    probs: NDArray[np.float32] | None
    bounds: NDArray[np.float32] | None
    figures: dict[str, Any]

    @property
    def part(self) -> str:
        """Which part of the data is measured: "test", "validation", or "" where there is none."""
        if self.data.x_test is not None:
            return "test"
        return "validation" if len(self.data.validation_indices) else ""

    @property
    def x(self) -> NDArray[Any]:
        """The examples of `part`, none without any."""
        return self.data.x_validation if self.data.x_test is None else self.data.x_test

    @property
    def y(self) -> NDArray[np.int32] | None:
        """Their classes, -1 where there is none; None without any part."""
        parts = {"test": self.data.y_test, "validation": self.data.y_validation, "": None}
        return parts[self.part]

    @property
    def predicts(self) -> str:
        """What `probs` are about: "classes", "clusters" where no label was seen, or ""."""
        if "classification" not in self.model.TERMS:
            return ""
        return "classes" if len(self.data.labelled_indices) else "clusters"

    @property
    def is_judged(self) -> bool:
        """Whether predictions of classes can be compared with known ones."""
        return self.predicts == "classes" and self.probs is not None and has_labels(self.y)


def load(folder: Path, say: Callable[[str], None]) -> Run:
    """Return a run, measured on its test data, or else on its validation data.

    Args:
        folder: the run folder.
        say: receives a line for people.

    Raises:
        InputError: the folder is not a run, or has neither a model nor a checkpoint.
    """
    config = read_config(folder)
    if (folder / "metrics.json").exists():
        metrics = read_metrics(folder)
        model, data = load_run(folder)
    else:
        model, data, metrics = _from_checkpoint(folder, config)
        say(f"{folder} is not finished: its last checkpoint is shown")
    run = Run(folder, model_name(model), config, metrics, model, data, None, None, {})
    if not run.part:
        say(f"{folder}: {run.name}, no test data to measure")
        return run
    say(f"{folder}: {run.name}, measuring {len(run.x):,} {run.part} examples")
    return _measured(run, say)


def _from_checkpoint(
    folder: Path, config: dict[str, Any]
) -> tuple[SemiSupervisedVAE, Data, dict[str, Any]]:
    data = load_run_data(folder, config)
    model = build({**config, "replicas": 1}, data)  # this machine may have fewer devices
    state = restore_latest(model, folder / "checkpoints")
    if state is None:
        raise InputError(
            f"{folder} has no checkpoint yet: wait for one, or continue it with "
            f"tfssvae train --resume {folder}"
        )
    metrics = {name: state[name] for name in ("history", "seconds", "epoch")}
    return model, data, {**metrics, "environment": {}}


def _measured(run: Run, say: Callable[[str], None]) -> Run:
    model, data = run.model, run.data
    probs = model.predict(run.x, batch_size=_BATCH, verbose=0)
    if not np.isfinite(probs).all():
        say(f"{run.folder}: the model predicts no numbers: nothing is measured")
        return run
    bounds = _bounds(run)
    figures = dict(evaluation.information_report(probs, bounds))
    if has_labels(run.y) and run.predicts == "classes":
        report = evaluation.classification_report(probs, run.y, data.class_names)
        figures = {**report, **figures}
        if has_labels(data.hidden_labels[data.unlabelled_indices]):
            hidden = evaluation.hidden_label_report(model, data)
            figures.update({f"hidden_{key}": value for key, value in hidden.items()})
    if has_labels(run.y) and run.predicts == "clusters":
        clusters = probs.argmax(axis=1)
        figures["clustering_accuracy"] = evaluation.clustering_accuracy(run.y, clusters)
    if not run.predicts:  # what is predicted is p(y), which is no figure of the model
        figures = {key: figures[key] for key in figures if key.startswith("unlabelled_bound")}
    if run.part == "test":
        measured = run.metrics.get("test", {})
        # What was not finite is null in the file.
        known = {key: value for key, value in measured.items() if value is not None}
        figures.update({key: known[key] for key in known if key.startswith(_MEASURED)})
    return replace(run, probs=probs, bounds=bounds, figures=figures)


def _bounds(run: Run) -> NDArray[np.float32] | None:
    """Return the bound of each example, None where the method has none or it is no number."""
    batches = getattr(run.data, run.part)(_BATCH)
    # The rows that `evaluate` sees, dynamic binarisation included.
    x = np.concatenate([x.numpy() for x, _ in batches])
    try:
        bounds = evaluation.unlabelled_bound(run.model, x, _BATCH)
    except InputError:
        return None
    return bounds if np.isfinite(bounds).all() else None
