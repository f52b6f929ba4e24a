"""A run folder: everything that one training run needs, and everything that it leaves.

config.json   what was asked for         split.json   rows whose labels were seen
checkpoints/  to resume from             logs/        TensorBoard
model.keras   the trained model          metrics.json test figures and history
figures/      pictures                   export/      a SavedModel for serving
"""

import copy
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

import tfssvae
from tfssvae import evaluation, run_lock, serving
from tfssvae.checks import InputError, closest
from tfssvae.core import SemiSupervisedVAE, constructor_arguments
from tfssvae.data import Data, load, load_split
from tfssvae.data.pipeline import Order, training_order
from tfssvae.defaults import default_weights
from tfssvae.models import register
from tfssvae.models.supervised import labels_alone
from tfssvae.run_lock import claimed
from tfssvae.suitability import check_suits
from tfssvae.training import (
    Checkpoint,
    HiddenDivergence,
    PartOptimizer,
    TensorBoardImages,
    restore_latest,
    train,
)
from tfssvae.training.progress import ProgressLines, StopWhenDiverged

_EXAMPLES = 2000  # images that an export sees
_EVALUATION_BATCH = 500
_MOST_CODES = 2000  # points of a picture of the latent space
_MIN_STEPS, _MIN_EPOCHS = 400, 20  # of a run that names no epochs
_TRUSTED_MODULES = ("keras.optimizers", "keras.optimizers.schedules")

Say = Callable[[str], None]


def start_run(folder: Path, config: dict[str, Any], say: Say = print) -> dict[str, Any]:
    """Train a model as `config` asks and fill a new run folder; return the content of metrics.json.

    Args:
        folder: the run folder; it must not exist yet, or be empty.
        config: "method", "data" (arguments of `data.load`), "model" (arguments of the method;
            schedules and regularizers as `keras.saving.serialize_keras_object` gives them),
            "epochs" (None: enough for 400 steps, and at least 20), "labelled", "unlabelled"
            (batch sizes; None: 100 and 200, or fewer where there are fewer rows), "driver" ("loop"
            or "fit"), "precision", "learning_rate" (a number or a serialised schedule),
            "checkpoint_seconds", and optionally "unfeatured" (labels without images a step, of
            those in "data"), "optimizer" (serialised, such as a `training.PartOptimizer`; instead
            of Adam with the learning rate),
            "default_weights" ("recommended", "paper" or "none": the weights that "model" does not
            set), "baseline" (False leaves out the classifier trained on the labels alone) and
            "likelihood_samples" (numbers of importance samples with each of which log p(x) of the
            test data is estimated).
        say: receives a line for people at each stage.

    Raises:
        InputError: the configuration is not as described, or the folder is taken.
    """
    _check_method(config["method"], config["model"])
    _check_free(folder)
    data = load(**config["data"])
    say(data.summary())
    config = _filled(config, data)
    model = _build(config, data)  # what the method refuses leaves no folder behind
    with claimed(folder):
        _check_free(folder)  # still: another process may have been faster
        data.save_split(folder / "split.json")
        _write_json(folder / "config.json", {**config, "tfssvae": tfssvae.__version__})
        return _train(folder, config, data, model, say)


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but the traces of a start that was cut off."""
    if not folder.exists():
        return
    begun = {"split.json", run_lock.NAME}
    if not folder.is_dir() or any(entry.name not in begun for entry in folder.iterdir()):
        raise InputError(
            f"{folder} exists already: choose another --out, or continue it with "
            f"tfssvae train --resume {folder}"
        )


def resume_run(folder: Path, say: Say = print) -> dict[str, Any]:
    """Continue an interrupted run from its last checkpoint; the result is that of a whole run.

    Raises:
        InputError: the folder is not a run, or its data are not those it was started with.
    """
    config = read_config(folder)
    if (folder / "metrics.json").exists():
        raise InputError(f"{folder} is finished: there is nothing to resume")
    with claimed(folder):
        data = load_run_data(folder, config)
        say(data.summary())
        return _train(folder, config, data, _build(config, data), say)


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text())
        missing = {"method", "data", "model", "epochs", "driver"} - set(config)
    except FileNotFoundError:
        raise InputError(f"{folder} is not a run folder: it has no config.json") from None
    except (json.JSONDecodeError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if missing:
        raise InputError(f"{path} is damaged: it lacks {', '.join(sorted(missing))}")
    return config


def load_run_data(folder: Path, config: dict[str, Any]) -> Data:
    """Load the data of a run with the labels that it saw.

    Raises:
        InputError: the data changed since the run was started.
    """
    chosen = ("labels_per_class", "label_fraction", "labelled_classes", "validation")
    arguments = {name: value for name, value in config["data"].items() if name not in chosen}
    split = load_split(folder / "split.json")
    try:
        return load(**arguments, split=split)
    except TypeError as error:
        raise InputError(f"{folder / 'config.json'} is damaged: {error}") from None


def load_run(folder: Path) -> tuple[SemiSupervisedVAE, Data]:
    """Load the trained model of a run, and its data with the labels that it saw.

    Raises:
        InputError: the run has no model yet, or it is damaged.
    """
    path = Path(folder) / "model.keras"
    if not path.exists():
        read_config(folder)
        raise InputError(
            f"{folder} has no model yet: finish it with tfssvae train --resume {folder}"
        )
    register()
    try:
        model = keras.saving.load_model(path)
    except (ValueError, TypeError, KeyError, OSError, BadZipFile) as error:
        raise InputError(
            f"{path} is damaged ({str(error).splitlines()[0]}): delete it and metrics.json, and "
            f"tfssvae train --resume {folder} makes it again from the last checkpoint"
        ) from error
    return model, load_run_data(folder, read_config(folder))


def export_run(
    folder: Path, directory: Path, version: int | None = None, score_samples: int = 100
) -> tuple[Path, np.ndarray]:
    """Export the model of a run as `serving.export` does, with examples and where it comes from.

    Returns:
        The path of the version, and the examples: at most 2000 test images, or training images.

    Raises:
        InputError: the run is not finished or damaged, or `serving.export` refuses something.
    """
    model, data = load_run(folder)
    metrics_file = Path(folder) / "metrics.json"
    metrics = json.loads(metrics_file.read_text()) if metrics_file.exists() else {}
    options = {"version": version, "score_samples": score_samples}
    path = _export(model, data, read_config(folder), metrics, Path(directory), **options)
    return path, _examples(data)


def _examples(data: Data) -> np.ndarray:
    images = data.x_train if data.x_test is None else data.x_test
    return np.asarray(images[: min(len(images), _EXAMPLES)])


def _export(model, data: Data, config, metrics, directory: Path, **options) -> Path:
    described = {name: value for name, value in config.items() if name != "data"}
    figures = metrics.get("test", {})
    provenance = {
        **described,
        "data": {
            # No path: the folders of this machine mean nothing elsewhere.
            **{key: value for key, value in config["data"].items() if key != "data_dir"},
            "name": data.name,
            "labels": len(data.labelled_indices),
            "images_without_label": len(data.unlabelled_indices),
            "fingerprint": data.fingerprint,
        },
        "test": {k: v for k, v in figures.items() if isinstance(v, (int, float))},
        "environment": metrics.get("environment", {}),
    }
    return serving.export(
        model,
        directory,
        class_names=data.class_names,
        examples=_examples(data),
        provenance=provenance,
        **options,
    )


def measure(model: SemiSupervisedVAE, data: Data, part: str = "test") -> dict[str, Any]:
    """Return accuracy, calibration, bounds and latent space on test or validation rows.

    Rows without any label have no accuracy and no calibration. Where the model saw no label,
    "clustering_accuracy" says what its classes are worth as clusters; where it saw labels of some
    classes only, `evaluation.free_class_report` says what the others became. The figures of a Mean
    Teacher stand beside the model's own, "teacher_accuracy" and "teacher_error".
    """
    batches = getattr(data, part)(_EVALUATION_BATCH)
    x = data.x_test if part == "test" else data.x_validation
    y = data.y_test if part == "test" else data.y_validation
    probabilities = model.predict(x, batch_size=_EVALUATION_BATCH, verbose=0)
    report: dict[str, Any] = {}
    if has_labels(y):
        report = evaluation.classification_report(probabilities, y, data.class_names)
        if not len(data.labelled_indices):
            clusters = probabilities.argmax(axis=1)
            report["clustering_accuracy"] = evaluation.clustering_accuracy(y, clusters)
        report |= evaluation.teacher_report(model, x, y)
    report["entropy"] = float(np.mean(evaluation.class_entropy(probabilities)))
    report["mutual_information"] = float(evaluation.class_information(probabilities))
    objective = model.evaluate(batches, verbose=0, return_dict=True)
    bounds = {
        name.removeprefix("monitor/"): float(value)
        for name, value in objective.items()
        if name.endswith("_bound")
        and "unfeatured" not in name  # test data are examples
        and (has_labels(y) or name != "monitor/labelled_bound")
    }
    # Where a term has a weight, its value without it is logged beside its contribution.
    terms = {name: objective.get(f"monitor/{name}", value) for name, value in objective.items()}
    seen = np.concatenate([images.numpy() for images, _ in batches])
    return {
        **report,
        **bounds,
        **evaluation.latent_report(model, x, y),
        **evaluation.layer_report(model, seen, terms),
        **evaluation.free_class_report(model, data, x, y),
    }


def has_labels(y: np.ndarray | None) -> bool:
    """Whether there is something to compare predictions with: a label other than -1."""
    return y is not None and bool((y >= 0).any())


def _train(
    folder: Path, config: dict[str, Any], data: Data, model: SemiSupervisedVAE, say: Say
) -> dict[str, Any]:
    started = time.time()
    say(_describe(config, model, data))
    state = restore_latest(model, folder / "checkpoints")
    if state is not None:
        say(f"resuming at step {state['step']}")
    history = _run_driver(model, data, config, folder, state or {})
    seconds = time.time() - started + (state or {}).get("seconds", 0.0)
    model.save(folder / "model.keras")

    metrics: dict[str, Any] = {"seconds": round(seconds, 1), "history": history}
    metrics["environment"] = _environment()
    if data.x_test is not None:
        metrics["test"] = measure(model, data)
        for samples in config.get("likelihood_samples", ()):
            say(f"log p(x) of {len(data.x_test):,} test images with {samples} samples each")
            bound = log_likelihood(model, data, samples, config["data"]["seed"])
            metrics["test"][f"log_likelihood_{samples}"] = bound
        if has_labels(data.y_test) and config["labelled"] and config.get("baseline", True):
            metrics["labels_alone"] = _baseline(model, data, config)
    _draw(folder / "figures", model, data, metrics)
    exported = _export(model, data, config, metrics, folder / "export")
    _write_json(folder / "metrics.json", metrics)
    say(_closing(folder, metrics, exported))
    return metrics


def _check_method(method: str, arguments: dict[str, Any]) -> None:
    if method not in tfssvae.METHODS:
        raise InputError(f"unknown method {method!r}: {closest(method, tfssvae.METHODS)}")
    known = constructor_arguments(tfssvae.METHODS[method])
    for name in arguments:
        if name not in known:
            raise InputError(f"{method} has no argument {name!r}: {closest(name, known)}")


def _filled(config: dict[str, Any], data: Data) -> dict[str, Any]:
    """Replace None by what suits the data, so that config.json says what was done."""
    config = dict(config)
    for part, default in (("labelled", 100), ("unlabelled", 200)):
        rows = len(getattr(data, f"{part}_indices"))
        config[part] = min(default, rows) if config[part] is None else config[part]
    steps = _order(config, data).steps_per_epoch
    if config["epochs"] is None:
        config["epochs"] = max(_MIN_EPOCHS, -(-_MIN_STEPS // steps))
    return config


def _order(config: dict[str, Any], data: Data) -> Order:
    return training_order(data, config["labelled"], config["unlabelled"])


def _build(config: dict[str, Any], data: Data) -> SemiSupervisedVAE:
    """Return the compiled model of a run.

    Raises:
        InputError: the method does not take its arguments.
    """
    keras.utils.set_random_seed(config["data"]["seed"])
    try:
        model = _made(config, data)
    except InputError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        chosen = ", ".join(f"{name}={value!r:.80}" for name, value in config["model"].items())
        raise InputError(
            f"{config['method']} cannot be made with {chosen or 'its defaults'}: {error}"
        ) from error
    check_suits(model, data, config["method"])
    model.compile(_optimizer(config), metrics=["accuracy"])
    return model


def _made(config: dict[str, Any], data: Data) -> SemiSupervisedVAE:
    method = tfssvae.METHODS[config["method"]]
    steps = config["epochs"] * _order(config, data).steps_per_epoch
    counts = len(data.labelled_indices), len(data.unlabelled_indices)
    pixels = int(np.prod(data.input_shape))
    arguments = {**method.recommended_arguments(pixels, steps), **_revived(config["model"])}
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


def _optimizer(config: dict[str, Any]) -> keras.optimizers.Optimizer:
    """Return a new optimizer of the run: Adam of its learning rate, or its own."""
    if "optimizer" in config:
        return _revived(config["optimizer"])
    return keras.optimizers.Adam(_revived(config["learning_rate"]))


def _revived(value):
    """Return a part of a configuration with its serialised objects made.

    Raises:
        InputError: an object is neither ours nor a Keras optimizer or schedule: a configuration
            runs no code.
    """
    if isinstance(value, list):
        return [_revived(part) for part in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {name: _revived(part) for name, part in value.items()}
    ours = str(value.get("registered_name")).startswith("tfssvae>")
    if not ours and value.get("module") not in _TRUSTED_MODULES:
        raise InputError(f"a configuration may not hold a {value['class_name']!r}")
    register()
    try:
        return keras.saving.deserialize_keras_object(copy.deepcopy(value))  # Keras changes it
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"the configuration of {value['class_name']} is damaged: {error}"
        ) from None


def _run_driver(model, data: Data, config, folder: Path, state: dict) -> dict[str, list[float]]:
    """Train with the driver of the run; return the history of all its epochs."""
    checkpoint = Checkpoint(
        folder / "checkpoints",
        every_seconds=config["checkpoint_seconds"],
        mid_epoch=config["driver"] == "loop",
        history=state.get("history"),
        seconds=state.get("seconds", 0.0),
    )
    callbacks = [
        *([HiddenDivergence(data)] if _knows_hidden_labels(model, data) else []),
        keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
        ProgressLines(
            config["epochs"],
            first_epoch=state.get("epoch", 0),
            labelled=config.get("labelled", 0) > 0,
        ),
        StopWhenDiverged(),  # before the checkpoint, which would keep what is lost
        checkpoint,
    ]
    watched = data.x_validation if len(data.validation_indices) else data.x_test
    if watched is not None:
        y = data.y_validation if len(data.validation_indices) else data.y_test
        every = max(1, config["epochs"] // 5)
        callbacks.append(
            TensorBoardImages(folder / "logs", watched, y, data.class_names, every=every)
        )
    shared = {
        "epochs": config["epochs"],
        "callbacks": callbacks,
        "validation_data": (
            data.validation(_EVALUATION_BATCH) if len(data.validation_indices) else None
        ),
        "verbose": 0,
    }
    sizes = {"labelled": config["labelled"], "unlabelled": config["unlabelled"]}
    sizes["unfeatured"] = config.get("unfeatured", 0)
    if config["driver"] == "loop":
        train(model, data, initial_epoch=state.get("epoch"), **sizes, **shared)
    else:
        model.fit(data.train(**sizes), initial_epoch=state.get("epoch", 0), **shared)
    return checkpoint.history


def _knows_hidden_labels(model: SemiSupervisedVAE, data: Data) -> bool:
    """Whether predictions of unlabelled images can be judged: by classes, that is, not clusters."""
    classes = "classification" in model.TERMS and len(data.labelled_indices) > 0
    return classes and has_labels(data.hidden_labels[data.unlabelled_indices])


def _baseline(model: SemiSupervisedVAE, data: Data, config: dict[str, Any]) -> dict[str, Any]:
    """Train the same classifier on the labels alone, until it can learn no more from them."""
    baseline = labels_alone(model)
    optimizer = _optimizer(config)
    if isinstance(optimizer, PartOptimizer):
        optimizer = optimizer.of("classifier")
    baseline.compile(optimizer)
    order = training_order(data, config["labelled"], 0)
    epochs = -(-_MIN_STEPS // order.steps_per_epoch)
    train(baseline, data, epochs, config["labelled"], 0, jit_compile=False, verbose=0)
    return evaluation.classification_report(
        baseline.predict(data.x_test, batch_size=_EVALUATION_BATCH, verbose=0),
        data.y_test,
        data.class_names,
    )


def _draw(folder: Path, model, data: Data, metrics: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    shown = data.x_test if data.x_test is not None else data.x_train
    figures = {"history": evaluation.history_figure(metrics["history"])}
    if len(data.input_shape) == 3:
        figures["reconstructions"] = evaluation.reconstruction_figure(model, shown[:16])
        figures["samples"] = evaluation.class_samples_figure(model, data.class_names)
        if "decoded_as" in metrics.get("test", {}):
            figures["classes"] = evaluation.decoded_classes_figure(model, data, metrics["test"])
    if has_labels(data.y_test):
        probabilities = model.predict(data.x_test, batch_size=_EVALUATION_BATCH, verbose=0)
        matrix = evaluation.confusion_matrix(data.y_test, probabilities, data.num_classes)
        figures["confusion"] = evaluation.confusion_figure(matrix, data.class_names)
        figures["calibration"] = evaluation.calibration_figure(probabilities, data.y_test)
        if hasattr(model, "components") and model.latent_dim > 1:
            x, y = shown[:_MOST_CODES], np.asarray(data.y_test)[:_MOST_CODES]
            figures["latent"] = evaluation.latent_scatter_figure(model, x, y, data.class_names)
        if hasattr(model, "latent_dims") and len(shown) > 1:
            rows = evaluation.choose_rows(len(shown), _MOST_CODES)
            codes, y = evaluation.code_layers(model, shown[rows]), np.asarray(data.y_test)[rows]
            figures["codes"] = evaluation.code_layers_figure(codes, y, data.class_names)
    for name, figure in figures.items():
        evaluation.save_figure(figure, folder / f"{name}.png")


def save_samples(model: SemiSupervisedVAE, path: Path, class_names, per_class: int, seed: int):
    """Write a picture of class-conditional samples, a row per class."""
    figure = evaluation.class_samples_figure(model, class_names, per_class=per_class, seed=seed)
    evaluation.save_figure(figure, path)


def log_likelihood(model: SemiSupervisedVAE, data: Data, num_samples: int, seed: int) -> float:
    """Return the mean importance-weighted bound on log p(x) of the test images, nats.

    The images are those of `Data.test`: dynamic binarisation becomes one fixed draw.
    """
    if data.x_test is None:
        raise InputError(f"{data.name} has no test data to estimate log p(x) on")
    x = np.concatenate([images.numpy() for images, _ in data.test(_EVALUATION_BATCH)])
    return float(np.mean(model.log_likelihood(x, num_samples, seed=seed, verbose=1)))


def inception_score(
    model: SemiSupervisedVAE, judge: Path, images: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Return `evaluation.inception_score` of generated images, as many of every class.

    Args:
        model: the method that generates.
        judge: run folder of the model that classifies.
        images: how many are generated.
        seed: of the generated images.

    Raises:
        InputError: the judge takes images of another shape.
    """
    judging, data = load_run(judge)
    if judging.example_shape != model.example_shape:
        raise InputError(
            f"{judge} judges images of shape {judging.example_shape}, not {model.example_shape}"
        )
    labels = np.arange(images) % model.num_classes
    parts = range(0, images, _EVALUATION_BATCH)
    generated = [
        model.generate(labels[first : first + _EVALUATION_BATCH], seed + first) for first in parts
    ]
    return evaluation.inception_score(
        np.concatenate(generated),
        partial(judging.predict, batch_size=_EVALUATION_BATCH, verbose=0),
        f"{type(judging).__name__} trained on {data.name} ({judge})",
    )


def _describe(config: dict[str, Any], model, data: Data) -> str:
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    unfeatured = f" + {config['unfeatured']} unfeatured" if config.get("unfeatured") else ""
    return (
        f"{config['method']}: {parameters:,} parameters, {config['epochs']} epochs of "
        f"{_order(config, data).steps_per_epoch} steps, {config['labelled']} labelled + "
        f"{config['unlabelled']} unlabelled{unfeatured} a step, {config['precision']}, "
        f"{config['driver']}"
    )


def _closing(folder: Path, metrics: dict[str, Any], exported: Path) -> str:
    lines = [f"done in {metrics['seconds']:.0f} s"]
    if "accuracy" in metrics.get("test", {}):
        kind = "clustering accuracy" if "clustering_accuracy" in metrics["test"] else "accuracy"
        line = f"test {kind} {metrics['test'][kind.replace(' ', '_')]:.2%}"
        if "labels_alone" in metrics:
            alone = metrics["labels_alone"]["accuracy"]
            line += f"; the same classifier trained on the labels alone: {alone:.2%}"
        lines.append(line)
    lines += [
        f"figures:     {folder / 'figures'}",
        f"TensorBoard: tensorboard --logdir {folder / 'logs'}",
        f"serving:     {exported}",
    ]
    return "\n".join(lines)


def _environment() -> dict[str, str]:
    import tensorflow as tf

    return {
        "tfssvae": tfssvae.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": ", ".join(device.device_type for device in tf.config.list_logical_devices()),
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)
