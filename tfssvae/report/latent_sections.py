"""What a report shows of a latent space with a place for each class (EXoN, Parted-VAE)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfssvae import evaluation
from tfssvae.report.code_sections import MOST_CODES, PerRun
from tfssvae.report.page import Section
from tfssvae.report.run import Run
from tfssvae.report.tables import class_units_table, divergence_table

_MOVED_UNITS = 5  # of figure 9
_LEAST_CORRELATED = 3  # units: over two, every correlation is 1 or -1
_NOISE = 2.0  # widest standard deviations of the prior: that of figure 5 where these are 1
_MARGIN = 3.0  # standard deviations of the prior that a moved unit passes beyond the centres


class Activated(NamedTuple):
    """An image, the name of its class, and the activated units of the class, most active first."""

    image: NDArray
    class_name: str
    units: NDArray[np.int64]


def latent_sections(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    """Return the sections about designed or learnt places of classes, of runs that have some.

    Args:
        runs: one run, or several on the same data.
        per_run: see `PerRun`.
    """
    placed = [run for run in runs if hasattr(run.model, "components")]
    if not placed:
        return
    yield from _figures(placed)
    data = runs[0].data
    images = len(data.input_shape) == 3
    x = runs[0].x[:MOST_CODES] if runs[0].part else None
    y = None if runs[0].y is None else runs[0].y[:MOST_CODES]
    if x is not None and y is not None:
        yield from _scatters(placed, x, y, per_run)
    if images:
        yield from _planes(placed, per_run)
        yield from _paths(placed, x, y, per_run)
    if x is not None and y is not None:
        yield from _units(placed, x, y, per_run)
        if images:
            yield from _subspaces(placed, x, y, per_run)


def _figures(runs: Sequence[Run]) -> Iterator[Section]:
    wide = len(runs) > 1
    divergences, units = divergence_table(runs), class_units_table(runs)
    if divergences.rows:
        yield Section(
            "Codes and their prior",
            "How far the codes of test examples are from the prior, and what that is made of: what "
            "class and code say of the image, which a good model needs, and what codes as a whole "
            "lie off the prior, which spoils generated images. Theorem 1 puts the part of the code "
            "between two bounds if the codes of each class lie as its component of the prior does.",
            [divergences],
            wide=wide,
        )
    if units.rows:
        yield Section(
            "Activated units",
            "How many units of the code the images of each class decide (V-nat above 1 nat): the "
            "others are noise to the decoder.",
            [units],
            wide=wide,
        )


def _scatters(runs: Sequence[Run], x, y, per_run: PerRun) -> Iterator[Section]:
    flat = [run for run in runs if run.model.latent_dim > 1]
    if flat:
        yield per_run(
            "Latent space",
            "Codes of test examples in the first two dimensions, over the prior's component of "
            "each class, designed (EXoN) or learnt (Parted-VAE): classes should lie on theirs.",
            "Latent codes",
            lambda run: evaluation.latent_scatter_figure(run.model, x, y, run.data.class_names),
            flat,
        )


def _planes(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    planes = [run for run in runs if run.model.latent_dim == 2]
    if planes:
        yield per_run(
            "Latent plane",
            "The image of each point of the latent plane, in the place of its code.",
            "Images on the latent plane",
            lambda run: evaluation.latent_grid_figure(run.model),
            planes,
        )


def _paths(runs: Sequence[Run], x, y, per_run: PerRun) -> Iterator[Section]:
    """Return the sections about straight paths through the latent space (figure 4)."""
    one, two = runs[0].data.class_names[:2]
    yield per_run(
        "Between two classes",
        f"Images on the straight path from the centre of class {one} to that of class {two}: where "
        "they stop being one and become the other, and what they are in between.",
        "Images between two classes",
        lambda run: evaluation.interpolation_figure(run.model, 0, 1),
        runs,
    )
    ends = [] if x is None else _two_images(x, y)
    if ends:
        yield per_run(
            "Between two images",
            "Images on the straight path between the codes of two test images, of different "
            "classes where their labels are known.",
            "Images between two images",
            lambda run: evaluation.interpolation_figure(run.model, *ends),
            runs,
        )


def _two_images(x, y) -> list:
    """Return two images, of different classes where there are; none of a single image."""
    others = np.flatnonzero(y != y[0])
    return [x[0], x[others[0] if len(others) else 1]] if len(x) > 1 else []


def _units(runs: Sequence[Run], x, y, per_run: PerRun) -> Iterator[Section]:
    """Return the sections about V-nat, where there are images of every class."""
    names = runs[0].data.class_names
    if not set(range(len(names))) <= set(y.tolist()):
        return
    values = {run.folder: evaluation.class_v_nat(run.model, x, y) for run in runs}
    yield per_run(
        "V-nat",
        "How exactly the images of a class decide each unit of the code, nats: units above the "
        "line are activated, the others are noise to the decoder.",
        "V-nat of each unit",
        lambda run: evaluation.v_nat_figure(values[run.folder], names),
        runs,
    )
    several = [run for run in runs if run.model.latent_dim >= _LEAST_CORRELATED]
    if several:
        yield per_run(
            "Correlation of V-nat",
            "Whether two classes activate the same units: near 1 they share them, near 0 each has "
            "its own; a class whose units are all alike is grey.",
            "Correlation of V-nat between classes",
            lambda run: evaluation.v_nat_correlation_figure(values[run.folder], names),
            several,
        )


def _subspaces(runs: Sequence[Run], x, y, per_run: PerRun) -> Iterator[Section]:
    """Return the sections of runs that have a class with activated units (figures 5, 9, 10)."""
    found = {run.folder: _activated(run, x, y) for run in runs}
    active = {folder: one for folder, one in found.items() if one is not None}
    chosen = [run for run in runs if run.folder in active]
    if not chosen:
        return
    shown = " and ".join(dict.fromkeys(one.class_name for one in active.values()))

    def draw_units(run: Run):
        image, _, units = active[run.folder]
        low, high = _reach(run.model.prior, units[:_MOVED_UNITS])
        return evaluation.unit_figure(run.model, image, units[:_MOVED_UNITS], low, high)

    def draw_subspace(run: Run):
        image, _, units = active[run.folder]
        scale = round(float(_NOISE * np.sqrt(run.model.prior.variance.max())), 1)
        return evaluation.subspace_figure(run.model, image, units, scale)

    yield per_run(
        "One unit at a time",
        f"The image of a code of class {shown} when one activated unit goes from end to end of the "
        "prior, the others fixed: what each of the most activated units says.",
        "Images of one moving unit",
        draw_units,
        chosen,
    )
    yield per_run(
        "Activated subspace",
        f"The same image, then with noise on all activated units of class {shown}, which should "
        "change it, and with noise on all others, which should not.",
        "Images with noise on a latent subspace",
        draw_subspace,
        chosen,
    )


def _activated(run: Run, x, y) -> Activated | None:
    """Return the surest image of the first class that has activated units, and these.

    Images without a label count for the class that the classifier gives them.
    """
    found = evaluation.posterior_components(run.model, x)
    labels = np.where(y < 0, found.probs.argmax(axis=1), y)
    for k in np.unique(labels):
        rows = np.flatnonzero(labels == k)
        v_nat = evaluation.v_nat(found.variance[rows, k], run.model.prior.variance[k])
        units = evaluation.activated_units(v_nat)
        if len(units):
            image = x[rows[found.probs[rows, k].argmax()]]
            return Activated(image, run.data.class_names[k], units)
    return None


def _reach(prior, units) -> tuple[float, float]:
    """Return where the prior begins and ends in some units, to a tenth."""
    mean, reach = prior.mean[:, units], _MARGIN * np.sqrt(prior.variance[:, units])
    return round(float((mean - reach).min()), 1), round(float((mean + reach).max()), 1)
