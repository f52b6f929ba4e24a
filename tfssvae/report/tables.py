"""The tables of a report."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfssvae.data import Data
from tfssvae.report.measures import likelihoods, measure_of
from tfssvae.report.page import Table
from tfssvae.report.run import Run

_LONGEST_SETTING = 300  # characters: the configuration of a whole network says nothing to people
_UNMEASURED = "-"
_MOST_CLASSES = 40  # in a table


def summary(runs: Sequence[Run]) -> Table:
    """Return what each run was asked for and was done with."""
    columns = [_facts(run) for run in runs]
    names = list(dict.fromkeys(name for facts in columns for name in facts))
    rows = [(name, *(facts.get(name, _UNMEASURED) for facts in columns)) for name in names]
    head = ("", *(run.name for run in runs)) if len(runs) > 1 else ("", "")
    return Table(head, rows)


def _facts(run: Run) -> dict[str, str]:
    config, data = run.config, run.data
    environment = dict(run.metrics["environment"])
    machine = [environment.pop(name, "") for name in ("platform", "devices")]
    shape = " x ".join(map(str, data.input_shape))
    epochs = f"{config['epochs']:,}"
    if "epoch" in run.metrics:
        epochs = f"{run.metrics['epoch']:,} of {epochs}"
    facts = {
        "method": config["method"],
        "data": f"{data.name}: {shape}, {data.num_classes} classes",
        "examples": ", ".join(f"{count:,} {part}" for part, count in _counts(data).items()),
        "settings": described(config["model"])[1:-1] or "those of the method",
        "weights not set": str(config.get("default_weights", "recommended")),
        "epochs": epochs,
        "batch": f"{config.get('labelled')} labelled + {config.get('unlabelled')} unlabelled",
        "optimizer": _optimizer(config),
        "precision": str(config.get("precision")),
        "seed": str(config["data"].get("seed", 0)),
        "training": f"{run.metrics['seconds']:,.0f} s with {config['driver']}",
        "versions": ", ".join(f"{name} {version}" for name, version in environment.items()),
        "machine": ", ".join(filter(None, machine)),
        "folder": str(run.folder),
    }
    best = run.metrics.get("best")
    if best:  # `tfssvae evaluate --best` has its weights; the report is of the last ones
        facts["best epoch"] = _filled("{epoch}: {name} {value:.4g}", best)
    if data.pixel_range is not None:
        facts["pixel range"] = "{} is black, {} is white".format(*data.pixel_range)
    if config["data"].get("binarize"):
        facts["pixels"] = f"binarised, {config['data']['binarize']}"
    return {name: text for name, text in facts.items() if text}


def _counts(data: Data) -> dict[str, int]:
    return {
        "labelled": len(data.labelled_indices),
        "unlabelled": len(data.unlabelled_indices),
        "validation": len(data.validation_indices),
        "test": 0 if data.x_test is None else len(data.x_test),
    }


def class_table(run: Run) -> Table:
    """Return how many examples of each class every part of the data has, and the recall.

    Of more than 40 classes those with the fewest labels are listed.
    """
    data = run.data
    parts = {
        "labels shown": data.hidden_labels[data.labelled_indices],
        "unlabelled": data.hidden_labels[data.unlabelled_indices],
        "validation": data.y_validation,
        "test": data.y_test,
    }
    counts = {
        name: np.bincount(np.where(y < 0, data.num_classes, y), minlength=data.num_classes + 1)
        for name, y in parts.items()
        if y is not None and len(y)
    }
    names, classes = [*data.class_names, "(not known)"], range(data.num_classes)
    shown = sorted(classes, key=lambda k: [count[k] for count in counts.values()])[:_MOST_CLASSES]
    shown.sort()
    if any(count[-1] for count in counts.values()):
        shown.append(data.num_classes)
    columns = {name: [f"{count[k]:,}" for k in shown] for name, count in counts.items()}
    recall = run.figures.get("recall")
    if recall:
        found = [f"{recall[names[k]]:.1%}" if k in classes else _UNMEASURED for k in shown]
        tested = run.figures["counts"]
        has_some = [k in classes and tested[names[k]] > 0 for k in shown]
        columns[f"recall ({run.part})"] = [
            text if some else _UNMEASURED for text, some in zip(found, has_some, strict=True)
        ]
    rows = list(zip([names[k] for k in shown], *columns.values(), strict=True))
    total = [f"{count.sum():,}" for count in counts.values()]
    if recall:
        total.append(f"{run.figures['accuracy']:.1%}")
    return Table(("class", *columns), [*rows, ("all", *total)], numbers=True)


def balance(data: Data) -> str:
    """Return a sentence about how evenly the shown labels are spread over the classes."""
    count = np.bincount(data.hidden_labels[data.labelled_indices], minlength=data.num_classes)
    total, low, high = int(count.sum()), int(count.min()), int(count.max())
    if not total:
        return "No label was shown: the model groups the examples by itself."
    if low == high:
        return f"Every class has {low:,} labels: the shown labels are balanced."
    sentence = (
        f"Classes have from {low:,} labels ({data.class_names[count.argmin()]}) to {high:,} "
        f"({data.class_names[count.argmax()]})"
    )
    if not low:
        return f"{sentence}: {np.sum(count == 0):,} of {data.num_classes:,} have none."
    return f"{sentence}: {high / low:.1f} times as many."


def _optimizer(config: dict[str, Any]) -> str:
    """Return what people look for in an optimizer, part by part where a model has several."""
    if "optimizer" not in config:
        return f"Adam(learning_rate={described(config.get('learning_rate'))})"
    name, settings = config["optimizer"]["class_name"], config["optimizer"]["config"]
    if "parts" in settings:
        parts = {"default": settings["default"], **settings["parts"]}
        found = {part: _optimizer({"optimizer": one}) for part, one in parts.items()}
        return "; ".join(f"{part}: {text}" for part, text in found.items())
    shown = ("learning_rate", "momentum", "weight_decay")
    return name + described({key: settings[key] for key in shown if settings.get(key)})


def described(value: Any) -> str:
    """Return a setting as people write it: Keras's configurations as Name(argument=value)."""
    if isinstance(value, dict) and "class_name" in value:
        hidden = ("name", "trainable", "dtype")
        arguments = {k: v for k, v in value.get("config", {}).items() if k not in hidden}
        text = f"{value['class_name']}({described(arguments)[1:-1]})"
    elif isinstance(value, dict):
        text = f"({', '.join(f'{name}={described(one)}' for name, one in value.items())})"
    elif isinstance(value, list | tuple):
        text = f"({', '.join(map(described, value))})"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_SETTING else f"{text[: _LONGEST_SETTING - 1]}…"


def figures_table(runs: Sequence[Run]) -> Table:
    """Return what was measured, a column for each run and for its classifier on labels alone."""
    columns: dict[str, dict[str, Any]] = {}
    for run in runs:
        columns[run.name] = run.figures
        if "labels_alone" in run.metrics and run.predicts == "classes":
            name = "labels alone" if len(runs) == 1 else f"{run.name}, labels alone"
            columns[name] = run.metrics["labels_alone"]
    most = f"{math.log(runs[0].data.num_classes):.3f}"
    information, bound = (measure_of(key) for key in ("mutual_information", "unlabelled_bound"))
    lines = {
        **_lines_of("accuracy", "error", "clustering_accuracy"),
        **_lines_of("teacher_accuracy", "teacher_error"),
        **_lines_of("expected_calibration_error", "log_loss", "entropy"),
        f"{information.title} (at most {most})": information.field,
        **_lines_of("hidden_error", "hidden_divergence"),
        f"{bound.title}: mean ± deviation over examples": (
            f"{bound.field} ± {{unlabelled_bound_std:.2f}}"
        ),
        **_likelihood_lines(columns.values()),
        **_layer_lines(columns),
        **_lines_of("free_cross_entropy", "free_accuracy", "distinct_classes"),
    }
    rows = [
        (name, *(_filled(template, figures) for figures in columns.values()))
        for name, template in lines.items()
    ]
    measured = [row for row in rows if set(row[1:]) != {_UNMEASURED}]
    return Table(("", *columns), measured, numbers=True)


def divergence_table(runs: Sequence[Run]) -> Table:
    """Return what the runs measured of their codes and the prior (EXoN); no row without any."""
    parts, bounds = "kl_decomposition", "kl_bounds"
    lines = {
        **_lines_of("kl_to_prior"),
        "of it what the class says of the image, I(x; y), nats": f"{{{parts}[information_y]:.2f}}",
        "classes as a whole off their prior, nats": f"{{{parts}[kl_y]:.2f}}",
        "what the code says of the image, I(x; z|y), nats": f"{{{parts}[information_z]:.2f}}",
        "codes of a class as a whole off its component, nats": f"{{{parts}[kl_z]:.2f}}",
        "Theorem 1: lower bound on the part of the code, nats": f"{{{bounds}[lower]:.2f}}",
        "the part of the code, nats": f"{{{bounds}[kl_z]:.2f}}",
        "upper bound on it, nats": f"{{{bounds}[upper]:.2f}}",
        "largest shift of a class: from its centre to the mean of its codes, in standard "
        "deviations of the prior": f"{{{bounds}[mean_gap]:.2f}}",
        "largest misfit of spread: by what part of the prior's variance that of a class's codes "
        "differs": f"{{{bounds}[variance_gap]:.2f}}",
        **_lines_of("negative_ssim"),
    }
    return _measured_table(runs, lines)


def class_units_table(runs: Sequence[Run]) -> Table:
    """Return how many units each class activates (EXoN, table 2); no row where it is not known."""
    lines = {name: f"{{activated_units_{k}}}" for k, name in enumerate(runs[0].data.class_names)}
    return _measured_table(runs, lines, "class")


def _measured_table(runs: Sequence[Run], lines: dict[str, str], rows_are: str = "") -> Table:
    """Return the lines that at least one run has measured, a column for each run."""
    rows = [
        (name, *(_filled(template, run.figures) for run in runs))
        for name, template in lines.items()
    ]
    measured = [row for row in rows if set(row[1:]) != {_UNMEASURED}]
    names = [run.name for run in runs] if rows_are or len(runs) > 1 else [""]
    return Table((rows_are, *names), measured, numbers=True)


def likelihood_table(runs: Sequence[Run]) -> Table:
    """Return the bounds on log p(x) of runs, and with how many samples each was estimated."""
    lines = {
        **_lines_of("unlabelled_bound"),
        **_likelihood_lines([run.figures for run in runs]),
    }
    return _measured_table(runs, lines)


def _likelihood_lines(columns: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the lines about log p(x), which a run estimates with some numbers of samples."""
    return _lines_of(*likelihoods(key for figures in columns for key in figures).values())


def _layer_lines(columns: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the lines about layers of codes, where a run has several."""
    found = {key for figures in columns.values() for key in figures}
    layers = sorted(key.removeprefix("active_units_") for key in found if "active_units_" in key)
    return _lines_of(*(f"{part}_{name}" for name in layers for part in ("kl", "active_units")))


def _lines_of(*keys: str) -> dict[str, str]:
    """Return what figures are called -> what writes them."""
    return {measure.title: measure.field for measure in map(measure_of, keys)}


def percent(confidence: float) -> str:
    """Return a probability as people write it; only what is 1 in float32 is 100%.

    >>> percent(0.5), percent(0.9996), percent(0.99999), percent(1.0)
    ('50%', '99.96%', '>99.99%', '100%')
    """
    if confidence == 1.0:
        return "100%"
    if confidence >= 0.9999:
        return ">99.99%"
    return f"{confidence:.2%}" if confidence >= 0.99 else f"{confidence:.0%}"


def _filled(template: str, figures: dict[str, Any]) -> str:
    try:
        return template.format_map(figures)
    except (KeyError, IndexError, TypeError, ValueError):  # none, or of another kind: not ours
        return _UNMEASURED
