"""A run from its configuration to its metrics, or from its last checkpoint on."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tfssvae
from tfssvae.checks import InputError, SettingError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data, load
from tfssvae.library_errors import reason
from tfssvae.model_files import load_model
from tfssvae.replicas import strategy_of
from tfssvae.runs.build import build, check_method, filled, order_of
from tfssvae.runs.drive import after_rollbacks, drive
from tfssvae.runs.environment import environment, note_session
from tfssvae.runs.export import export_model
from tfssvae.runs.figures import draw
from tfssvae.runs.folder import check_free, fingerprints, load_run_data, read_config, write_json
from tfssvae.runs.hparams import recorded
from tfssvae.runs.lock import claimed
from tfssvae.runs.measures import baseline, has_labels, log_likelihood, measure
from tfssvae.training import messages
from tfssvae.training.checkpoints import check_room
from tfssvae.training.messages import Say, to_people


def start_run(folder: Path | str, config: dict[str, Any], say: Say = to_people) -> dict[str, Any]:
    """Train a model as `config` asks and fill a new run folder; return the content of metrics.json.

    Args:
        folder: the run folder; it must not exist yet, or be empty.
        config: "method", "data" (arguments of `data.load`), "model" (arguments of the method;
            schedules and regularizers as `keras.saving.serialize_keras_object` gives them),
            "epochs" (None: enough for 400 steps, and at least 20), "labelled", "unlabelled"
            (batch sizes; None: 100 and 200, or fewer where there are fewer rows), "driver" ("loop"
            or "fit"), "precision", "learning_rate" (a number or a serialised schedule),
            "checkpoint_seconds", and optionally "replicas" (devices that share each step, see
            `replicas.strategy_of`; 1), "unfeatured" (labels without images a step, of those in
            "data"), "optimizer" (serialised, such as a `training.PartOptimizer`; instead of Adam
            with the learning rate),
            "default_weights" ("recommended", "paper" or "none": the weights that "model" does not
            set), "baseline" (False leaves out the classifier trained on the labels alone),
            "likelihood_samples" (numbers of importance samples with each of which log p(x) of the
            test data is estimated), "checkpoints" (how many of the last are kept, 2) and
            "on_divergence" ("stop", or "roll_back" to the last checkpoint with half the rate).
        say: receives what there is to say at each stage, for people or for machines.

    Raises:
        InputError: the configuration is not as described, or the folder is taken; a SettingError
            where the method refuses its arguments.
        DivergenceError: training diverged.
        OSError: something could not be written, such as on a full disk.
    """
    folder = Path(folder)
    check_method(config["method"], config["model"])
    check_free(folder)
    strategy_of(config.get("replicas", 1))  # before the data, which may need TensorFlow
    data = load(**config["data"])
    _say_data(data, say)
    try:
        config = filled(config, data)
        model = build(config, data)  # what the method refuses leaves no folder behind
    except InputError as error:
        raise SettingError(str(error)) from error
    with claimed(folder):
        check_free(folder)  # still: another process may have been faster
        data.save_split(folder / "split.json")
        written = {**fingerprints(data), "tfssvae": tfssvae.__version__}
        write_json(folder / "config.json", {**config, **written})
        return _train(folder, read_config(folder), data, model, say)


def resume_run(folder: Path | str, say: Say = to_people) -> dict[str, Any]:
    """Continue an interrupted run from its last checkpoint; the result is that of a whole run.

    Raises:
        InputError: the folder is not a run, it is finished, or its data or its configuration are
            not those it was started with.
        DivergenceError: training diverged.
        OSError: something could not be written.
    """
    folder = Path(folder)
    config = read_config(folder)
    with claimed(folder):
        if (folder / "metrics.json").exists():
            raise InputError(f"{folder} is finished: there is nothing to resume")
        strategy_of(config.get("replicas", 1))
        data = load_run_data(folder, config)
        _say_data(data, say)
        return _train(folder, config, data, build(config, data), say)


def _train(
    folder: Path, config: dict[str, Any], data: Data, model: SemiSupervisedVAE, say: Say
) -> dict[str, Any]:
    say(_describe(config, model, data), event="start", run=str(folder), config=config)
    note_session(folder, say)
    try:
        with recorded(folder, config):
            model, trained = drive(model, config, data, folder, say)
        return _finish(folder, config, data, model, trained, say)
    except (KeyboardInterrupt, OSError, tf.errors.OpError) as error:
        command = f"tfssvae train --resume {shlex.quote(str(folder))}"
        say(f"to continue: {command}", event="interrupted", command=command)
        if isinstance(error, tf.errors.OpError):  # a full disk, a device without memory
            raise OSError(reason(error)) from error
        raise
    finally:
        messages.end_line()


def _finish(folder: Path, config, data: Data, model, trained, say: Say) -> dict[str, Any]:
    """Measure, draw and export a trained model; metrics.json comes last: then the run is done."""
    check_room(model, folder)
    partial = folder / ".partial.keras"
    model.save(partial)
    partial.replace(folder / "model.keras")
    if model.distribute_strategy.num_replicas_in_sync > 1:
        model = load_model(folder / "model.keras")  # on one device, where the rest is done
    metrics: dict[str, Any] = {
        **trained,
        "seconds": round(trained["seconds"], 1),
        "environment": environment(),
    }
    if data.x_test is not None:
        metrics["test"] = measure(model, data)
        for samples in config.get("likelihood_samples", ()):
            say(f"log p(x) of {len(data.x_test):,} test images with {samples} samples each")
            bound = log_likelihood(model, data, samples, config["data"]["seed"])
            metrics["test"][f"log_likelihood_{samples}"] = bound
        if has_labels(data.y_test) and config["labelled"] and config.get("baseline", True):
            asked = after_rollbacks(config, trained["rollbacks"])
            metrics["labels_alone"] = baseline(model, data, asked)
    draw(folder / "figures", model, data, metrics)
    shutil.rmtree(folder / "export", ignore_errors=True)  # of a session that ended before this line
    exported = export_model(model, data, config, metrics, folder / "export")
    write_json(folder / "metrics.json", metrics)
    say(_closing(folder, metrics, exported), event="done", run=str(folder), **_told(metrics))
    return metrics


def _told(metrics: dict[str, Any]) -> dict[str, Any]:
    names = ("seconds", "test", "labels_alone", "best", "rollbacks")
    return {name: metrics[name] for name in names if name in metrics}


def _say_data(data: Data, say: Say) -> None:
    counts = {
        "labelled": len(data.labelled_indices),
        "unlabelled": len(data.unlabelled_indices),
        "validation": len(data.validation_indices),
        "test": 0 if data.x_test is None else len(data.x_test),
    }
    say(data.summary(), event="data", name=data.name, classes=list(data.class_names), **counts)


def _describe(config: dict[str, Any], model, data: Data) -> str:
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    unfeatured = f" + {config['unfeatured']} unfeatured" if config.get("unfeatured") else ""
    replicas = config.get("replicas", 1)
    shared = f", {replicas} replicas" if replicas > 1 else ""
    epochs = "1 epoch" if config["epochs"] == 1 else f"{config['epochs']} epochs"
    return (
        f"{config['method']}: {parameters:,} parameters, {epochs} of "
        f"{order_of(config, data).steps_per_epoch} steps, {config['labelled']} labelled + "
        f"{config['unlabelled']} unlabelled{unfeatured} a step, {config['precision']}, "
        f"{config['driver']}{shared}"
    )


def _closing(folder: Path, metrics: dict[str, Any], exported: Path) -> str:
    lines = [f"done in {metrics['seconds']:.0f} s"]
    if metrics["rollbacks"]:
        times = len(metrics["rollbacks"])
        lines.append(f"rolled back {times} times: the learning rate was {2**times} times lower")
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
