"""`Data`: a data set with the labels that the model may see."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae.checks import InputError
from tfssvae.data import splits


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Training and test data as numpy arrays, and the rows whose labels the model may see.

    Images are uint8 in 0..255 or float32 in 0..1; whoever feeds a model scales them.

    Attributes:
        x_train: (n, h, w, c) images or (n, d) table; an `images_in_files.ImagesInFiles` where they
            stay in their files.
        hidden_labels: (n,) int32, the truth where the source knows it, else -1; for evaluation
            only.
        x_test: test examples, or None.
        y_test: (m,) int32 test labels, or None.
        class_names: one name per class.
        labelled_indices: sorted int64 rows whose labels the model may see.
        validation_indices: sorted int64 rows that training must not touch.
        name: the data set's name.
        seed: the seed of the choice of rows.
        binarize: None, "fixed" or "round" (the images are 0 and 255 already), or "dynamic"
            (whoever feeds a model draws anew each time).
        source_fingerprint: `splits.fingerprint` of the training data before any transform.
        unfeatured: (F, K) float32 labels that have no example, as class probabilities, or None.
        pixel_range: the values that were mapped to black and white when the data were read, (low,
            high), or None where their dtype said it. New data for a model are to be mapped
            likewise: (x - low) / (high - low).
    """

    x_train: NDArray[Any]
    hidden_labels: NDArray[np.int32]
    x_test: NDArray[Any] | None
    y_test: NDArray[np.int32] | None
    class_names: tuple[str, ...]
    labelled_indices: NDArray[np.int64]
    validation_indices: NDArray[np.int64]
    name: str
    seed: int
    binarize: str | None
    source_fingerprint: str | None = None
    unfeatured: NDArray[np.float32] | None = None
    pixel_range: tuple[float, float] | None = None

    @functools.cached_property
    def y_train(self) -> NDArray[np.int32]:
        """(n,) int32: the label where the model may see it, -1 elsewhere."""
        y = np.full(len(self.x_train), -1, np.int32)
        y[self.labelled_indices] = self.hidden_labels[self.labelled_indices]
        return y

    @functools.cached_property
    def unlabelled_indices(self) -> NDArray[np.int64]:
        """Sorted int64 rows that are neither labelled nor held out for validation."""
        taken = np.concatenate([self.labelled_indices, self.validation_indices])
        return np.setdiff1d(np.arange(len(self.x_train), dtype=np.int64), taken)

    @functools.cached_property
    def x_validation(self) -> NDArray[Any]:
        """The rows of `x_train` that are held out; empty without validation."""
        return self.x_train[self.validation_indices]

    @functools.cached_property
    def y_validation(self) -> NDArray[np.int32]:
        """Their labels, int32 (-1 only if the source has no labels at all)."""
        return self.hidden_labels[self.validation_indices]

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the training data as it came from its source."""
        if self.source_fingerprint is not None:
            return self.source_fingerprint
        return splits.fingerprint(self.x_train, self.hidden_labels)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, (h, w, c) or (d,)."""
        return self.x_train.shape[1:]

    @property
    def classes_without_labels(self) -> tuple[str, ...]:
        """Names of the classes of which the model sees no label."""
        counts = self._count(self.hidden_labels[self.labelled_indices])
        return tuple(self.class_names[k] for k in np.flatnonzero(counts[:-1] == 0))

    def train(
        self,
        labelled: int = 100,
        unlabelled: int = 200,
        seed: int | None = None,
        unfeatured: int = 100,
    ) -> Any:
        """Batches for training.

        Args:
            labelled: labelled rows per batch.
            unlabelled: unlabelled rows per batch.
            seed: of the order; the data's own when not given.
            unfeatured: labels without examples per batch, where there are any.
        """
        from tfssvae.data import pipeline

        return pipeline.training_batches(self, labelled, unlabelled, seed, unfeatured)

    def test(self, batch_size: int = 500) -> Any:
        """The test data in order, in batches.

        Raises:
            InputError: without test data.
        """
        if self.x_test is None or self.y_test is None:
            raise InputError(f'"{self.name}" has no test data: give x_test and y_test.')
        from tfssvae.data import pipeline

        return pipeline.evaluation_batches(self.x_test, self.y_test, batch_size, self.binarize)

    def validation(self, batch_size: int = 500) -> Any:
        """The rows held out for validation in order, in batches.

        Raises:
            InputError: without validation rows.
        """
        if not len(self.validation_indices):
            raise InputError(f'"{self.name}" was loaded without validation rows: pass validation.')
        from tfssvae.data import pipeline

        return pipeline.evaluation_batches(
            self.x_validation, self.y_validation, batch_size, self.binarize
        )

    def save_split(self, path: str | os.PathLike[str]) -> None:
        """Writes which rows are labelled and held out as JSON, for `load(split=path)`."""
        split = splits.make_split(
            self.name,
            len(self.x_train),
            self.seed,
            self.fingerprint,
            self.labelled_indices,
            self.validation_indices,
        )
        splits.save_split(path, split)

    def summary(self) -> str:
        """A table of the rows per class: labelled, unlabelled, validation, test.

        Unlabelled rows count under their hidden label where the source knows it.
        """
        columns = [
            self._count(self.hidden_labels[self.labelled_indices]),
            self._count(self.hidden_labels[self.unlabelled_indices]),
            self._count(self.y_validation),
            self._count(np.empty(0, np.int32) if self.y_test is None else self.y_test),
        ]
        counts = np.stack(columns, axis=1)
        rows = list(zip(self.class_names, counts[:-1].tolist(), strict=True))
        if counts[-1].any():
            rows.append(("(unknown)", counts[-1].tolist()))
        rows.append(("total", counts.sum(axis=0).tolist()))
        width = max(len("class"), *(len(name) for name, _ in rows))
        lines = [
            repr(self)[len("Data(") : -1],
            f"{'class':{width}}{'labelled':>12}{'unlabelled':>12}{'validation':>12}{'test':>12}",
            *(f"{name:{width}}" + "".join(f"{n:12d}" for n in values) for name, values in rows),
        ]
        if self.pixel_range is not None:
            low, high = self.pixel_range
            lines.append(f"pixel_range: {low} is black and {high} is white in the source")
        if self.classes_without_labels:
            lines.append(f"classes without labels: {', '.join(self.classes_without_labels)}")
        empty = np.flatnonzero(counts[:-1, :3].sum(axis=1) == 0)
        if len(empty) and (self.hidden_labels >= 0).all():  # else a row may be of one of them
            names = ", ".join(self.class_names[k] for k in empty)
            lines.append(f"classes without a training row: {names}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        parts = {
            "labelled": len(self.labelled_indices),
            "unlabelled": len(self.unlabelled_indices),
            "validation": len(self.validation_indices),
            "test": 0 if self.x_test is None else len(self.x_test),
        }
        counts = ", ".join(f"{n} {part}" for part, n in parts.items())
        if self.unfeatured is not None:
            counts += f", {len(self.unfeatured)} unfeatured"
        return (
            f"Data({self.name}: {shape} {self.x_train.dtype}, {self.num_classes} classes, {counts})"
        )

    def _count(self, y: NDArray[np.int32]) -> NDArray[np.int64]:
        """(K + 1,) rows per class; the last entry counts rows without a label."""
        k = self.num_classes
        return np.bincount(np.where(y < 0, k, y), minlength=k + 1)
