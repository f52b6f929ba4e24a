"""The report of a run: one HTML page with its figures and pictures, beside other runs if asked."""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import evaluation
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.evaluation.history import INFORMATION, logged_quantities
from tfssvae.evaluation.model_names import model_name
from tfssvae.evaluation.page import Picture, Section, Table, page_html
from tfssvae.runs import load_run, read_config

_BATCH = 500
_RECONSTRUCTED = 20
_LONGEST_SETTING = 300  # characters: the configuration of a whole network says nothing to people
_UNMEASURED = "-"

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Run:
    """A run, and what its model says of the test data; None where there are none."""

    folder: Path
    name: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    model: SemiSupervisedVAE
    data: Data
    probs: NDArray[np.float32] | None
    bounds: NDArray[np.float32] | None


def write_report(
    folder: Path, out: Path | None = None, others: Sequence[Path] = (), say: Say = print
) -> Path:
    """Write the report of a finished run as one HTML page that needs no other file.

    Args:
        folder: the run folder.
        out: the page; None: report.html in the run folder.
        others: further run folders, on the same data, to show beside the first.
        say: receives a line for people at each stage.

    Returns:
        Where the page is.

    Raises:
        InputError: a folder is not a finished run, the runs have different data, or out is a
            folder.
    """
    path = Path(out) if out is not None else Path(folder) / "report.html"
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file, such as {path / 'report.html'}")
    folders = list({Path(one).resolve(): Path(one) for one in (folder, *others)}.values())
    for one in folders:
        _read_metrics(one)  # a run that is not finished is refused before any long work
    runs: list[_Run] = []
    for one in folders:
        runs.append(_load(one, say))
        _check_same_data(runs[0], runs[-1])
    runs = _named_apart(runs)
    page = page_html(_title(runs), _lead(runs), _announced(_sections(runs, say), say))
    _write(path, page)
    return path


def _announced(sections: Iterator[Section], say: Say) -> Iterator[Section]:
    for section in sections:
        say(f"drawing {section.title.lower()}")
        yield section


# Reading runs ------------------------------------------------------------------------------------


def _load(folder: Path, say: Say) -> _Run:
    model, data = load_run(folder)
    name = model_name(model)
    probs = bounds = None
    if data.x_test is not None:
        say(f"{folder}: {name}, measuring {len(data.x_test):,} test examples")
        probs = model.predict(data.x_test, batch_size=_BATCH, verbose=0)
        # Batch by batch as `evaluate` sees them, dynamic binarisation included.
        bounds = np.concatenate(
            [evaluation.unlabelled_bound(model, x.numpy()) for x, _ in data.test(_BATCH)]
        )
    else:
        say(f"{folder}: {name}, no test data to measure")
    config, metrics = read_config(folder), _read_metrics(folder)
    return _Run(folder, name, config, metrics, model, data, probs, bounds)


def _read_metrics(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text())
        missing = {"history", "seconds", "environment"} - set(metrics)
    except FileNotFoundError:
        read_config(folder)
        raise InputError(
            f"{folder} is not finished: continue it with tfssvae train --resume {folder}"
        ) from None
    except (json.JSONDecodeError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if missing:
        raise InputError(f"{path} is damaged: it lacks {', '.join(sorted(missing))}")
    return metrics


def _check_same_data(first: _Run, other: _Run) -> None:
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


def _named_apart(runs: list[_Run]) -> list[_Run]:
    """Return the runs with names that differ: that of the folder is added where needed."""
    for hint in ("name", "resolve"):
        names = [run.name for run in runs]
        for index, run in enumerate(runs):
            if names.count(run.name) > 1:
                where = run.folder.resolve()
                shown = where.name if hint == "name" else where
                runs[index] = replace(run, name=f"{model_name(run.model)} ({shown})")
    return runs


# What the page says ------------------------------------------------------------------------------


def _title(runs: Sequence[_Run]) -> str:
    return f"{' and '.join(run.name for run in runs)} on {runs[0].data.name}"


def _lead(runs: Sequence[_Run]) -> list[str]:
    lines = []
    for run in runs:
        data = run.data
        line = (
            f"{run.name}: {len(data.labelled_indices):,} of {len(data.x_train):,} training labels "
            f"shown, {run.config['epochs']:,} epochs in {run.metrics['seconds']:,.0f} s"
        )
        measured = _test_figures(run)
        if measured:
            line += f"; test accuracy {measured['accuracy']:.2%}"
            if "labels_alone" in run.metrics:
                alone = run.metrics["labels_alone"]["accuracy"]
                line += f", the same classifier trained on the labels alone {alone:.2%}"
        lines.append(f"{line}.")
    return lines


def _sections(runs: Sequence[_Run], say: Say) -> Iterator[Section]:
    several, data = len(runs) > 1, runs[0].data
    yield Section(
        "Summary", "What was asked for, and with what it was done.", [_summary(runs)], wide=several
    )

    def per_run(title: str, meaning: str, alt: str, draw: Callable[[_Run], Any], chosen=runs):
        pictures = [
            Picture(partial(draw, run), f"{alt} of {run.name}", run.name if several else "")
            for run in chosen
        ]
        return Section(title, meaning, pictures, wide=several)

    if data.x_test is not None:
        yield Section(
            "Test figures",
            f"Measured on {len(data.x_test):,} test examples that training never saw; beside them "
            "the same classifier trained on the shown labels alone.",
            [_test_table(runs)],
            wide=several,
        )
    yield from _curves(runs)
    if data.x_test is not None:
        yield per_run(
            "Confusion",
            "How many test examples of each true class (rows) are taken for each class (columns).",
            "Confusion matrix",
            lambda run: evaluation.confusion_figure(
                evaluation.confusion_matrix(data.y_test, run.probs, data.num_classes),
                data.class_names,
            ),
        )
        yield per_run(
            "Calibration",
            "Whether examples of which the model is 80% sure are right 80% of the time: bars on "
            "the diagonal are honest, bars below it too sure.",
            "Reliability diagram",
            lambda run: evaluation.calibration_figure(run.probs, data.y_test),
        )
        maps = _maps(runs, say)
        if maps:
            yield per_run(
                "Feature map",
                "t-SNE of the classifier's penultimate layer: neighbours look alike to the "
                "classifier, and classes in groups of their own are easy to tell apart; the size "
                "of a group and the distance between groups mean nothing.",
                "t-SNE map",
                lambda run: maps[run.folder](),
                [run for run in runs if run.folder in maps],
            )
    if len(data.input_shape) == 3:
        yield per_run(
            "Generated images",
            "One class a row; each column has one latent noise, so one style, whatever the class.",
            "Generated images",
            lambda run: evaluation.class_samples_figure(run.model, data.class_names),
        )
        yield _reconstructions(runs)
    if data.x_test is not None:
        yield per_run(
            "Entropy",
            "How unsure the classifier is of each test example: on the left it is sure; what it "
            "gets wrong should be further to the right.",
            "Histogram of the entropy",
            lambda run: evaluation.entropy_figure(run.probs, data.y_test),
        )
        yield per_run(
            "Bound",
            "The evidence lower bound of each test example without its label: how well the model "
            "explains it; examples far to the left are unlike the training data.",
            "Histogram of the bound",
            lambda run: evaluation.bound_figure(run.bounds),
        )


def _curves(runs: Sequence[_Run]) -> Iterator[Section]:
    history = _histories(runs)
    names = [name for name in logged_quantities(history) if name not in INFORMATION]
    if names:
        yield Section(
            "Learning curves",
            "Everything logged after each epoch; the terms of the loss are weighted, so that they "
            "add up to it.",
            [Picture(partial(_curve, history, name), f"Curve of {name}") for name in names],
            wide=True,
            small=True,
        )
    names = [name for name in INFORMATION if name in logged_quantities(history)]
    if names:
        yield Section(
            "Information during training",
            "How much the predicted class tells of an image and how unsure it is, on average over "
            "batches of unlabelled images: a bound alone tends to lower the first and to raise the "
            "second, which MIER works against.",
            [Picture(partial(_information, runs, name), f"Curve of {name}") for name in names],
            wide=True,
        )


def _histories(runs: Sequence[_Run]) -> dict[str, Any]:
    """Return what `history_figure` takes: the history of the run, or label -> that of each."""
    if len(runs) == 1:
        return runs[0].metrics["history"]
    return {run.name: run.metrics["history"] for run in runs}


def _curve(history: dict[str, Any], name: str) -> Any:
    return evaluation.history_figure(_only(history, name))


def _information(runs: Sequence[_Run], name: str) -> Any:
    history = _only(_histories(runs), name)
    return evaluation.information_figure(history, runs[0].data.num_classes)


def _only(history: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a history, or those of several runs, with one quantity."""
    if any(isinstance(value, dict) for value in history.values()):
        return {label: _only(logs, name) for label, logs in history.items()}
    return {key: values for key, values in history.items() if key.removeprefix("val_") == name}


def _reconstructions(runs: Sequence[_Run]) -> Section:
    data = runs[0].data
    shown = (data.x_train if data.x_test is None else data.x_test)[:_RECONSTRUCTED]
    models: Any = {run.name: run.model for run in runs} if len(runs) > 1 else runs[0].model
    return Section(
        "Reconstructions",
        "Images, and what is left of each after it passed the latent code.",
        [Picture(partial(evaluation.reconstruction_figure, models, shown), "Reconstructions")],
        wide=len(runs) > 1,
    )


def _maps(runs: Sequence[_Run], say: Say) -> dict[Path, Callable[[], Any]]:
    """Return what draws the map of each run that has one; t-SNE is done once."""
    maps: dict[Path, Callable[[], Any]] = {}
    for run in runs:
        x, y = run.data.x_test, run.data.y_test
        assert x is not None and y is not None  # noqa: PT018 - for mypy
        rows = evaluation.choose_rows(len(x))
        say(f"{run.name}: t-SNE of {len(rows):,} test examples")
        try:
            points = evaluation.tsne(evaluation.classifier_features(run.model, x[rows]))
        except InputError as error:
            say(f"no feature map: {error}")
            continue
        maps[run.folder] = partial(
            evaluation.embedding_figure, points, y[rows], run.data.class_names
        )
    return maps


# Tables ------------------------------------------------------------------------------------------


def _summary(runs: Sequence[_Run]) -> Table:
    columns = [_facts(run) for run in runs]
    names = list(dict.fromkeys(name for facts in columns for name in facts))
    rows = [(name, *(facts.get(name, _UNMEASURED) for facts in columns)) for name in names]
    return Table(("", *(run.name for run in runs)), rows)


def _facts(run: _Run) -> dict[str, str]:
    config, data = run.config, run.data
    environment = dict(run.metrics["environment"])
    machine = [environment.pop(name, "") for name in ("platform", "devices")]
    shape = " x ".join(map(str, data.input_shape))
    parts = {
        "labelled": len(data.labelled_indices),
        "unlabelled": len(data.unlabelled_indices),
        "validation": len(data.validation_indices),
        "test": 0 if data.x_test is None else len(data.x_test),
    }
    return {
        "method": config["method"],
        "data": f"{data.name}: {shape}, {data.num_classes} classes",
        "examples": ", ".join(f"{count:,} {part}" for part, count in parts.items()),
        "settings": _described(config["model"])[1:-1] or "those of the method",
        "epochs": f"{config['epochs']:,}",
        "batch": f"{config.get('labelled')} labelled + {config.get('unlabelled')} unlabelled",
        "learning rate": _described(config.get("learning_rate")),
        "precision": str(config.get("precision")),
        "training": f"{run.metrics['seconds']:,.0f} s with {config['driver']}",
        "versions": ", ".join(f"{name} {version}" for name, version in environment.items()),
        "machine": ", ".join(machine),
    }


def _described(value: Any) -> str:
    """Return a setting as people write it: Keras's configurations as Name(argument=value)."""
    if isinstance(value, dict) and "class_name" in value:
        hidden = ("name", "trainable", "dtype")
        arguments = {k: v for k, v in value.get("config", {}).items() if k not in hidden}
        text = f"{value['class_name']}({_described(arguments)[1:-1]})"
    elif isinstance(value, dict):
        text = f"({', '.join(f'{name}={_described(one)}' for name, one in value.items())})"
    elif isinstance(value, list | tuple):
        text = f"({', '.join(map(_described, value))})"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_SETTING else f"{text[: _LONGEST_SETTING - 1]}…"


def _test_figures(run: _Run) -> dict[str, float]:
    """Return what is measured on the test data: nothing without."""
    if run.probs is None:
        return {}
    measured = evaluation.classification_report(run.probs, run.data.y_test, run.data.class_names)
    return {**measured, **evaluation.information_report(run.probs, run.bounds)}


def _test_table(runs: Sequence[_Run]) -> Table:
    head, columns = [""], []
    for run in runs:
        head.append(run.name)
        columns.append(_test_figures(run))
        if "labels_alone" in run.metrics:
            head.append("labels alone")
            columns.append(run.metrics["labels_alone"])
    most = f"{math.log(runs[0].data.num_classes):.3f}"
    lines: dict[str, Callable[[dict[str, float]], str]] = {
        "accuracy": lambda found: f"{found['accuracy']:.2%}",
        "error": lambda found: f"{found['error']:.2%}",
        "calibration error (ECE)": lambda found: f"{found['expected_calibration_error']:.4f}",
        "log loss, nats": lambda found: f"{found['log_loss']:.4f}",
        "entropy of the classifier H(q(y|x)), nats": lambda found: f"{found['entropy']:.4f}",
        f"mutual information I(y; x), nats (at most {most})": (
            lambda found: f"{found['mutual_information']:.4f}"
        ),
        "bound on log p(x), nats: mean ± deviation over examples": (
            lambda found: f"{found['unlabelled_bound']:.2f} ± {found['unlabelled_bound_std']:.2f}"
        ),
    }
    rows = [(name, *(_shown(text, found) for found in columns)) for name, text in lines.items()]
    return Table(head, rows, numbers=True)


def _shown(text: Callable[[dict[str, float]], str], found: dict[str, float]) -> str:
    try:
        return text(found)
    except KeyError:
        return _UNMEASURED


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_name(f".{path.name}.partial")
    try:
        partial_file.write_text(page, encoding="utf-8")
        os.replace(partial_file, path)
    finally:
        partial_file.unlink(missing_ok=True)
