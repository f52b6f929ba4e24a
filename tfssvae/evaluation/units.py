"""Which units of a code are in use: how far images move them, and how exactly (V-nat)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from tfssvae.batch import make_batch
from tfssvae.checks import InputError, check_images
from tfssvae.core import FIXED_STEP
from tfssvae.evaluation.codes import ACTIVE_VARIANCE
from tfssvae.evaluation.latent import v_nat
from tfssvae.evaluation.style import ink
from tfssvae.layers import StandardNormalPrior
from tfssvae.noise import Noise

_BATCH = 500
_ACTIVATED = 1.0  # nats, EXoN, section 4.2


class Units(NamedTuple):
    """What images make of the units of a layer of codes.

    Attributes:
        variance: (d,) of the posterior mean over images.
        v_nat: (d,) nats; None where the prior is not a standard normal one.
    """

    variance: NDArray[np.float64]
    v_nat: NDArray[np.float64] | None

    @property
    def active(self) -> int:
        """How many units the posterior mean of which varies (Burda et al., 2016, section 5.3)."""
        return int((self.variance > ACTIVE_VARIANCE).sum())


def unit_usage(model, x: ArrayLike) -> dict[str, Units]:
    """Return what images make of each unit of a Gaussian code, layer by layer.

    Args:
        model: any method; one whose code is a mixture has `class_v_nat` instead.
        x: (n, *input_shape) uint8, or float in [0, 1], n at least 2.

    Returns:
        Layer -> `Units`, the layer next to the image first; V-nat where the layer's prior is
        N(0, I). Empty where the method has no code.

    Raises:
        InputError: x does not fit the model.
    """
    x = check_images(x, shape=model.example_shape)

    @tf.function(reduce_retracing=True, autograph=False)
    def posteriors(images):
        noise = Noise(model.seed, FIXED_STEP)
        batch = make_batch(images, model.example_shape, model.num_classes, noise)
        found = model.terms(batch, training=False).latents
        codes = {name: q for name, q in found.items() if name.startswith("z")}
        return {name: (q.mean(), q.variance()) for name, q in codes.items()}

    parts = [posteriors(tf.constant(x[i : i + _BATCH])) for i in range(0, len(x), _BATCH)]
    if not parts[0]:
        return {}
    standard = _standard_normal_layers(model, list(parts[0]))
    layers: dict[str, Units] = {}
    for name in parts[0]:
        mean, variance = (
            np.concatenate([part[name][k].numpy() for part in parts]).astype("float64")
            for k in (0, 1)
        )
        exactness = v_nat(variance, np.ones(mean.shape[1])) if name in standard else None
        layers[name] = Units(mean.var(axis=0), exactness)
    return layers


def _standard_normal_layers(model, names: Sequence[str]) -> set[str]:
    """Return the layers of codes whose prior is N(0, I)."""
    priors = {names[-1] if hasattr(model, "latent_dims") else "z": getattr(model, "prior", None)}
    if hasattr(model, "style_prior"):  # of the only Gaussian code, or of a further one
        priors["z2" if "z2" in names else "z"] = model.style_prior
    return {name for name, prior in priors.items() if isinstance(prior, StandardNormalPrior)}


def unit_usage_figure(layers: Mapping[str, Units]) -> Figure:
    """Draw the variance of each unit's posterior mean and its V-nat, the most used unit first.

    Args:
        layers: see `unit_usage`.

    Raises:
        InputError: there is no layer.
    """
    if not layers:
        raise InputError("there is no layer of codes to draw")
    shown = [(name, units, "variance") for name, units in layers.items()]
    shown += [(name, units, "v_nat") for name, units in layers.items() if units.v_nat is not None]
    figure = Figure(figsize=(6.4, 2.3 * len(shown)), dpi=100, layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, (name, units, kind) in zip(panels, shown, strict=True):
        variance, size = kind == "variance", len(units.variance)
        values = np.sort(units.variance if variance else np.asarray(units.v_nat))[::-1]
        threshold = ACTIVE_VARIANCE if variance else _ACTIVATED
        colours = ["C0" if value > threshold else "gray" for value in values]
        # On a logarithmic axis bars begin somewhere: at a tenth of the threshold.
        bottom = threshold / 10 if variance else 0.0
        axes.bar(range(1, size + 1), np.maximum(values, bottom), color=colours, width=0.8)
        axes.axhline(threshold, color=ink(), linestyle="--", linewidth=1)
        axes.set_xlim(0.4, size + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("unit, the most used first", fontsize=9)
        count = int((values > threshold).sum())
        if variance:
            axes.set_yscale("log")
            axes.set_ylim(bottom, max(2 * values.max(), 10 * threshold))
            axes.set_ylabel("variance of\nthe mean", fontsize=9)
            title = f"{name}: {count} of {size} units active (variance above {threshold:g})"
        else:
            axes.set_ylabel("V-nat, nats", fontsize=9)
            title = f"{name}: {count} of {size} units above {threshold:g} nat"
        axes.set_title(title, fontsize=10)
    return figure
