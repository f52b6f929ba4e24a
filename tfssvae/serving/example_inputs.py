"""What a signature could be sent: inputs of warm-up requests and of comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def example_inputs(
    inputs: Mapping[str, Mapping[str, Any]], images: NDArray[Any], num_classes: int
) -> dict[str, NDArray[Any]]:
    """Return inputs with as many rows as there are images.

    Args:
        inputs: name -> {"dtype", "shape"} of a signature, as `assets/interface.json` has them.
        images: (n, *input_shape), uint8 or float32 in 0..1.
        num_classes: K.

    Returns:
        The images themselves, labels that go round the classes, standard normal codes, a seed of 0.
    """
    return {
        name: _example(name, spec["dtype"], spec["shape"], images, num_classes)
        for name, spec in inputs.items()
    }


def _example(
    name: str, dtype: str, shape: Sequence[int | None], images: NDArray[Any], num_classes: int
) -> NDArray[Any]:
    if name == "images":
        return as_dtype(images, dtype)
    if name == "labels":
        return (np.arange(len(images)) % num_classes).astype(dtype)
    if name == "codes":
        sizes = [len(images), *(size or 0 for size in shape[1:])]
        draws = np.random.default_rng(0).normal(size=sizes)
        return draws.astype(dtype)
    return np.zeros((), dtype)


def as_dtype(images: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return images, uint8 or float32 in 0..1, as the one or the other."""
    if images.dtype == dtype:
        return images
    return np.rint(images * 255).astype(dtype) if dtype == "uint8" else (images / 255).astype(dtype)
