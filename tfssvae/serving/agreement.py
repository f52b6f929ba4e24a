"""How far a converted model is from the SavedModel that it was made from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfssvae.checks import ConversionError
from tfssvae.serving.example_inputs import example_inputs

TOLERANCES = {"float32": 1e-4, "onnx": 1e-4, "float16": 1e-2, "dynamic": 0.1}
"""Variant -> the largest difference of any output that is taken for rounding."""

_SIZES = (1, 7, 64)


class Agreement(NamedTuple):
    """How two models compare.

    Attributes:
        difference: the largest difference of any output, in units of the output or, where the
            output exceeds 1, of its largest value.
        same_class: the part of the images that both put in the same class; None without classes.
    """

    difference: float
    same_class: float | None


def compare(
    reference: Callable[..., Mapping],
    converted: Callable[..., Mapping],
    requests: Sequence[Mapping[str, np.ndarray]],
) -> Agreement:
    """Compare two functions from named arrays to named arrays.

    Args:
        reference: the signature of the SavedModel.
        converted: the same of the converted file.
        requests: the inputs of each call, in batches of different sizes.

    Raises:
        ConversionError: outputs have other names, shapes or types, are not finite, or the classes
            are not those of the largest probabilities.
    """
    difference, same, images = 0.0, 0, 0
    for request in requests:
        wanted = {name: np.asarray(value) for name, value in reference(**request).items()}
        found = {name: np.asarray(value) for name, value in converted(**request).items()}
        if _layout(found) != _layout(wanted):
            raise ConversionError(f"it answers {_layout(found)} instead of {_layout(wanted)}")
        for name, value in wanted.items():
            if value.dtype.kind == "f":
                difference = max(difference, _difference(found[name], value))
        if "classes" in wanted:
            _check_classes(found["classes"], found["probabilities"])
            same += int((found["classes"] == wanted["classes"]).sum())
            images += len(wanted["classes"])
    return Agreement(difference, same / images if images else None)


def make_requests(
    interface: Mapping[str, Any], signature: str, images: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """Return the inputs of calls with 1, 7 and then up to 64 examples.

    Args:
        interface: of the version, as `assets/interface.json` has it.
        signature: which to call.
        images: (n, *input_shape), uint8 or float32 in 0..1; repeated where there are few.
    """
    one, seven, more = _SIZES
    images = np.resize(images, (max(len(images), one + seven), *images.shape[1:]))
    borders = [one, *range(one + seven, len(images), more)]
    inputs = interface["signatures"][signature]["inputs"]
    return [
        example_inputs(inputs, batch, interface["num_classes"])
        for batch in np.split(images, borders)
    ]


def _layout(outputs: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {name: f"{outputs[name].dtype} {outputs[name].shape}" for name in sorted(outputs)}


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    if not np.isfinite(found).all():
        return float("inf")
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    return float(np.abs(found - wanted).max(initial=0.0)) / scale


def _check_classes(classes: np.ndarray, probabilities: np.ndarray) -> None:
    # Its own probabilities: near a border those of rounded weights may have another maximum.
    is_largest = probabilities == probabilities.max(axis=-1, keepdims=True)
    is_chosen = classes[:, None] == np.arange(probabilities.shape[-1])
    if not (is_largest & is_chosen).any(axis=-1).all():
        raise ConversionError("its classes are not those of its largest probabilities")
