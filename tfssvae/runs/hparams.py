"""A run in the HPARAMS tab of TensorBoard: its settings beside what its epochs logged."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api_pb2, summary, summary_v2

from tfssvae.checks import DivergenceError, InputError
from tfssvae.library_errors import reason

_LOG = logging.getLogger("tfssvae")
_OPTIONS = ("labelled", "unlabelled", "unfeatured", "epochs", "learning_rate", "precision")

Value = bool | int | float | str


def hparams(config: Mapping[str, Any]) -> dict[str, Value]:
    """Return the settings of a run by the names that `tfssvae sweep` has for them.

    Args:
        config: content of config.json (see `start_run`).

    >>> config = {"method": "m2", "data": {"name": "digits", "seed": 1}, "epochs": 2,
    ...           "model": {"hidden": [8, 8], "weights": {"*_kl_z": 2.0}}}
    >>> hparams(config)
    {'method': 'm2', 'data': 'digits', 'seed': 1, 'epochs': 2, 'hidden': '[8, 8]',
     'weights.*_kl_z': 2.0}
    """
    data = config["data"]
    found = {"method": config["method"], "data": data["name"], "seed": data["seed"]}
    for name in ("labels_per_class", "label_fraction", "pixel_range"):
        found[name] = data.get(name)
    found |= {name: config.get(name) for name in _OPTIONS}
    for name, value in config["model"].items():
        found |= _flat(name, value)
    return {name: shown(value) for name, value in found.items() if value is not None}


def shown(value) -> Value:
    """Return a setting as TensorBoard takes it: a number, a truth value or text."""
    if isinstance(value, Mapping):
        return str(value.get("class_name", value))
    if isinstance(value, bool | int | float | str):
        return value
    return str(list(value)) if isinstance(value, tuple) else str(value)


@contextlib.contextmanager
def recorded(folder: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Write the settings of a run to TensorBoard, and whether training came to its end.

    What training logs meanwhile under `folder/logs` are the metrics: the plugin finds them. Like
    every other summary, these stop no training where they cannot be written.

    Args:
        folder: the run folder.
        config: content of config.json.
    """
    writer = tf.summary.create_file_writer(str(folder / "logs"))
    _write(writer, summary_v2.hparams_pb(hparams(config), trial_id=_title(folder)), folder)
    status = api_pb2.STATUS_SUCCESS
    try:
        yield
    except (InputError, DivergenceError):
        status = api_pb2.STATUS_FAILURE
        raise
    except BaseException:
        status = None  # it can be resumed
        raise
    finally:
        if status is not None:
            _write(writer, summary.session_end_pb(status), folder)
        writer.close()


def _title(folder: Path) -> str:
    """Return "trial-003/seed-1 in runs/sweep": the column is narrow, and titles tell runs apart."""
    above = folder.parent.parent
    name = "/".join(folder.parts[-2:])
    return name if above in (folder.parent, Path()) else f"{name} in {above}"


def _write(writer: tf.summary.SummaryWriter, message, folder: Path) -> None:
    try:
        # Keras's callback leaves a condition of its own on all summaries (`update_freq`).
        with writer.as_default(step=0), tf.summary.record_if(True):
            tf.summary.experimental.write_raw_pb(message.SerializeToString())
        writer.flush()
    except (OSError, tf.errors.OpError) as error:
        _LOG.warning("TensorBoard does not get the settings of %s: %s", folder, reason(error))


def _flat(name: str, value) -> dict[str, Any]:
    """Return {"mier.beta": 5.0} for a list with a serialised regularizer, and so on."""
    if name == "weights" and isinstance(value, Mapping):
        return {f"weights.{term}": weight for term, weight in value.items()}
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, Mapping) and "class_name" in part for part in parts):
        return {name: value}
    found: dict[str, Any] = {name: ", ".join(part["class_name"] for part in parts)}
    for part in parts:
        arguments = dict(part.get("config", {}))
        own = arguments.pop("name", part["class_name"])
        arguments.pop("trainable", None)
        scalars = {key: v for key, v in arguments.items() if isinstance(v, bool | int | float)}
        found |= {f"{own}.{key}": v for key, v in scalars.items()}
    return found
