"""Arrays that users hand to Keras's entry points: numpy, lists, tensors, data frames."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfssvae.checks import (
    InputError,
    check_images,
    check_labels,
    check_probabilities,
    refuse_masked,
)

_IMAGES = ("labelled", "unlabelled")
_PARTS = ": tfssvae.data.from_arrays(x, y), y -1 where unlabelled, gives batches of any two sizes"


def is_array(values: Any) -> bool:
    """Whether values are in memory as a whole: an array, a list, an eager tensor, a data frame."""
    if tf.is_tensor(values):
        return isinstance(values, tf.Tensor) and hasattr(values, "numpy")
    return isinstance(values, list | np.ndarray) or hasattr(values, "__array__")


def checked_arrays(
    x: Any,
    y: Any,
    sample_weight: Any,
    shape: Sequence[int],
    num_classes: int,
    training: bool = False,
) -> tuple[Any, Any, Any]:
    """Return x, y and sample_weight as numpy arrays in the form that a step takes.

    What is not in memory as a whole (pipelines, generators) is returned as it is: it is checked
    batch by batch.

    Args:
        x: examples, or a dict of them as in `batch.make_batch`.
        y: labels, or None.
        sample_weight: (n,) factors, or None.
        shape: of one example.
        num_classes: K.
        training: whether these are all training images, which are not nearly black.

    Raises:
        InputError: what is not such examples, labels or weights, or not as many.
    """
    if isinstance(x, dict) and all(map(is_array, x.values())):
        x = {name: _of_part(name, part, shape, num_classes, training) for name, part in x.items()}
        sizes = {'x["labelled"]': len(x["labelled"])} if "labelled" in x else {}
    elif is_array(x):
        x = check_images(x, shape=shape, training=training)
        sizes = {"x": len(x)}
    else:
        return x, y, sample_weight
    if y is not None:
        y = check_labels(y, num_classes)
        sizes["y"] = len(y)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight)
        sizes["sample_weight"] = len(sample_weight)
    _refuse_unequal(sizes)
    return x, y, sample_weight


def check_equal_parts(x: Any) -> None:
    """Refuse a dict of arrays of unequal length, of which Keras cannot cut batches.

    Raises:
        InputError: naming the lengths.
    """
    if isinstance(x, dict) and all(map(is_array, x.values())):
        _refuse_unequal({f'x["{name}"]': len(part) for name, part in x.items()}, _PARTS)


def _refuse_unequal(sizes: dict[str, int], hint: str = "") -> None:
    if len(set(sizes.values())) > 1:
        rows = ", ".join(f"{name} has {size} rows" for name, size in sizes.items())
        raise InputError(f"arrays of one call must have the same length, but {rows}{hint}")


def check_sample_weight(sample_weight: Any, name: str = "sample_weight") -> np.ndarray:
    """Return sample weights as float32 (n,).

    Raises:
        InputError: another shape, or values that are not finite numbers of 0 or more.
    """
    refuse_masked(sample_weight, name)
    weights = np.asarray(sample_weight)
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim != 1 or weights.dtype.kind not in "buif":
        raise InputError(
            f"{name} must be one number per example, (n,), got {weights.shape} {weights.dtype}"
        )
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite
        weights = weights.astype(np.float32)
    fine = np.isfinite(weights) & (weights >= 0)
    if not fine.all():
        row = int(np.argmin(fine))
        raise InputError(
            f"{name} must be finite numbers, 0 or more, but {name}[{row}] is {weights[row]:g}"
        )
    return weights


def _of_part(
    name: str, part: Any, shape: Sequence[int], num_classes: int, training: bool
) -> np.ndarray:
    if name in _IMAGES:
        return check_images(part, f'x["{name}"]', shape, training=training)
    array = np.asarray(part)
    if name != "unfeatured" or array.dtype.kind in "iub":
        return array  # an unknown part is refused by the step, which knows the names
    return check_probabilities(array, f'x["{name}"]', num_classes)
