"""A finished run, read and measured."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import checked_json, evaluation
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.evaluation.model_names import model_name
from tfssvae.runs import has_labels, load_run, read_config

_BATCH = 500
# What the runs measured and a report does not measure again, by how it begins.
_MEASURED = (
    *("kl_z", "active_units_"),
    *("free_", "distinct_", "teacher_"),
    *("kl_to_prior", "kl_decomposition", "kl_bounds", "activated_units_", "negative_ssim"),
)


@dataclass(frozen=True)
class Run:
    """A run, and what its model says of the test data.

    Attributes:
        folder: where it is.
        name: the method and its regularizers; with the folder where two runs would be called alike.
        config: content of config.json.
        metrics: content of metrics.json.
        model: the trained model.
        data: its data.
        probs: (n, K) class probabilities of the test data; None without any.
        bounds: (n,) bound of each, nats; None without test data.
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


def load(folder: Path, say: Callable[[str], None]) -> Run:
    """Return a finished run, measured on its test data.

    Args:
        folder: the run folder.
        say: receives a line for people.

    Raises:
        InputError: the folder is not a finished run.
    """
    config, metrics = read_config(folder), read_metrics(folder)
    model, data = load_run(folder)
    name = model_name(model)
    probs, bounds, figures = None, None, {}
    if data.x_test is not None:
        say(f"{folder}: {name}, measuring {len(data.x_test):,} test examples")
        probs = model.predict(data.x_test, batch_size=_BATCH, verbose=0)
        # Batch by batch as `evaluate` sees them, dynamic binarisation included.
        bounds = np.concatenate(
            [evaluation.unlabelled_bound(model, x.numpy()) for x, _ in data.test(_BATCH)]
        )
        figures = dict(evaluation.information_report(probs, bounds))
        if has_labels(data.y_test):
            report = evaluation.classification_report(probs, data.y_test, data.class_names)
            figures = {**report, **figures}
        if has_labels(data.hidden_labels[data.unlabelled_indices]):
            hidden = evaluation.hidden_label_report(model, data)
            figures.update({f"hidden_{key}": value for key, value in hidden.items()})
        measured = metrics.get("test", {})
        figures.update({key: measured[key] for key in measured if key.startswith(_MEASURED)})
    else:
        say(f"{folder}: {name}, no test data to measure")
    return Run(folder, name, config, metrics, model, data, probs, bounds, figures)


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return metrics.json of a finished run.

    Raises:
        InputError: the folder is not a run, it is not finished, or the file is damaged.
    """
    path = folder / "metrics.json"
    if not path.exists():
        read_config(folder)
        raise InputError(
            f"{folder} is not finished: continue it with tfssvae train --resume {folder}"
        )
    return checked_json.read_metrics(path)


def check_same_data(first: Run, other: Run) -> None:
    """Refuse two runs that cannot be compared.

    Raises:
        InputError: their data differ, whatever labels were shown.
    """
    one, two = first.data, other.data
    if (
        one.input_shape != two.input_shape
        or one.class_names != two.class_names
        or one.fingerprint != two.fingerprint
        or not np.array_equal(np.asarray(one.y_test), np.asarray(two.y_test))
    ):
        raise InputError(
            f"{other.folder} has other data than {first.folder} ({two!r}, not {one!r}): only runs "
            "on the same data can be shown side by side"
        )


def named_apart(runs: list[Run]) -> list[Run]:
    """Return the runs with names that differ: that of the folder is added where needed."""
    for hint in ("name", "resolve"):
        names = [run.name for run in runs]
        for index, run in enumerate(runs):
            if names.count(run.name) > 1:
                where = run.folder.resolve()
                shown = where.name if hint == "name" else where
                runs[index] = replace(run, name=f"{model_name(run.model)} ({shown})")
    return runs
