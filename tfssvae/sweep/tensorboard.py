"""A sweep as an experiment of TensorBoard's HPARAMS tab."""

import logging
import shutil
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from tfssvae.evaluation.curves import ACCURACY, BOUND
from tfssvae.library_errors import reason
from tfssvae.runs.hparams import shown
from tfssvae.sweep.space import Choices, Range
from tfssvae.sweep.trials import Settings

_LOG = logging.getLogger("tfssvae")
_METRICS = (ACCURACY, "val_loss", BOUND, "accuracy", "loss")


def write_experiment(folder: Path, settings: Settings) -> None:
    """Say which settings and figures of the runs TensorBoard compares.

    Without this it would show every setting and every figure that any run has. The runs write
    their own settings (`runs.hparams`), and the figures of their epochs as every run does. Where
    this cannot be written, the sweep goes on.

    Args:
        folder: where to; whatever it held is replaced.
        settings: of the sweep.
    """
    swept = [hp.HParam(name, _domain(values)) for name, values in settings.space.items()]
    seeds = hp.HParam("seed", hp.Discrete(list(settings.seeds)))
    figures = dict.fromkeys([settings.objective, *_METRICS])
    metrics = [_metric(name) for name in figures]
    try:
        shutil.rmtree(folder, ignore_errors=True)
        writer = tf.summary.create_file_writer(str(folder))
        with writer.as_default(step=0):
            hp.hparams_config(hparams=[*swept, seeds], metrics=metrics)
        writer.close()
    except (OSError, tf.errors.OpError) as error:
        _LOG.warning("TensorBoard does not get the experiment in %s: %s", folder, reason(error))


def _domain(values: Choices | Range) -> hp.Discrete | hp.RealInterval:
    if isinstance(values, Range):
        return hp.RealInterval(float(values.low), float(values.high))
    found = [shown(value) for value in values.values]
    if all(type(value) in (int, float) for value in found):
        return hp.Discrete([float(value) for value in found])
    return hp.Discrete([str(value) for value in found])


def _metric(name: str) -> hp.Metric:
    """Return where Keras's callback writes a figure of an epoch."""
    part = "validation" if name.startswith("val_") else "train"
    return hp.Metric(f"epoch_{name.removeprefix('val_')}", group=part, display_name=name)
