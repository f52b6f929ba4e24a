"""What a published table is, as data: rows, the figures printed, and a run for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tfssvae.checks import InputError, closest
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.data.sources import npz_file

Config = dict[str, Any]
_TFDS = "tfds:"
History = Mapping[str, Sequence[float]]
"""Logged quantity -> its value after each epoch."""


@dataclass(frozen=True)
class Row:
    """One row of a published table.

    Attributes:
        name: as on the command line, such as "m2+mier".
        title: as in the paper, such as "M2+MIER".
        labels_per_class: labels shown per class; None where `labels` says how many in total.
        settings: (steps per epoch, epochs) -> the part of a run's configuration that the paper
            decides (see `runs.start_run`): "method", "model", "learning_rate", "labelled" ...; a
            number of rows a step may be a share instead, see `rows_per_step`.
        published: data set -> metric -> the paper's figure.
        pair: the row whose figures are subtracted, seed by seed, if any.
        labels: labels shown in total, possibly none, spread evenly over the classes that have
            training images.
        data: further arguments of `data.load`.
    """

    name: str
    title: str
    labels_per_class: int | None
    settings: Callable[[int, int], Config]
    published: Mapping[str, Mapping[str, float]]
    pair: str | None = None
    labels: int | None = None
    data: Config = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        title: what it shows, with the paper.
        metrics: names of test figures (see `runs.measure`) -> how they are printed, such as "%";
            a row may lack some.
        rows: its rows.
        data: data set -> arguments of `data.load`, such as {"name": "mnist"}.
        epochs: of the paper.
        factors: name -> rows that differ in it alone, for a one-way analysis of variance.
        loading: further arguments of `data.load`, whatever the data set.
        draw: (title -> trained model of each row, data) -> a figure, where the paper has one.
        draw_histories: the same of training, (title -> history of each row) -> a figure.
    """

    title: str
    metrics: Mapping[str, str]
    rows: Sequence[Row]
    data: Mapping[str, Config]
    epochs: int = 1000
    factors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    loading: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Mapping[str, SemiSupervisedVAE], Data], Figure] | None = None
    draw_histories: Callable[[Mapping[str, History]], Figure] | None = None

    def data_set(self, name: str) -> str | None:
        """Return which of the table's data sets somebody means, None where it is another.

        It may be given by the table's name, by that of its source (svhn_cropped,
        tfds:svhn_cropped), or as the path of an npz file that is called so.
        """
        stem = Path(name).stem if name.endswith(".npz") else name
        for known, arguments in self.data.items():
            source = arguments["name"]
            if stem in (known, source, source.removeprefix(_TFDS)):
                return known
        return None

    def data_arguments(self, name: str, data_dir: str | PathLike[str] | None = None) -> Config:
        """Return the arguments of `data.load` for one of the table's data sets, or for another.

        Files called NAME.npz come before tfds, as in `data.load`.

        Args:
            name: see `data_set`, or whatever `data.load` takes.
            data_dir: see `data.load`.
        """
        known = self.data_set(name)
        if known is None:
            return {"name": name, **self.loading}
        found = name
        if not name.endswith(".npz") and not name.startswith(_TFDS):
            source = self.data[known]["name"]
            names = (known, source.removeprefix(_TFDS))
            found = next((n for n in names if npz_file(n, data_dir)), source)
        return {**self.data[known], "name": found, **self.loading}

    def chosen(self, names: Sequence[str] | None) -> list[Row]:
        """Return the rows of the given names, all where there are none, in the table's order.

        Raises:
            InputError: a name is unknown.
        """
        known = [row.name for row in self.rows]
        for name in names or ():
            if name not in known:
                raise InputError(f"unknown row {name!r}: {closest(name, known)}")
        return [row for row in self.rows if not names or row.name in names]


def rows_per_step(batch: float, rows: int) -> int:
    """Return how many of so many rows a step takes.

    Args:
        batch: a number of rows, of which there may be fewer, or a fraction: that share of them, so
            that smaller data have smaller batches, and as many steps in an epoch.
        rows: how many there are.

    >>> rows_per_step(200, rows=100), rows_per_step(1 / 6, rows=100)
    (100, 17)
    """
    if 0 < batch < 1:
        batch = max(1, round(batch * rows))
    return min(int(batch), rows)
