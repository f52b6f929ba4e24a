"""Arrays checked against a signature and cut into requests, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, closest
from tfssvae.serving.client.errors import ServingError
from tfssvae.serving.client.interface import Signature, TensorSpec

Arrays = dict[str, NDArray[Any]]


def find_signature(signatures: Mapping[str, Signature], name: str) -> Signature:
    """Return a signature of the served model.

    Raises:
        InputError: the model has no such signature.
    """
    if name not in signatures:
        raise InputError(f"the served model has no signature {name!r}: {closest(name, signatures)}")
    return signatures[name]


def signature_for_images(signatures: Mapping[str, Signature], view: str, dtype: str) -> str:
    """Return the name of the signature that computes a view of uint8 or float32 images.

    The dtype that was preferred at export has the plain name, the other has a suffix.

    Raises:
        InputError: the model was exported for the other dtype only, or has no such view.
    """
    names = [view, f"{view}_uint8", f"{view}_float"]
    found = {
        signatures[name]["inputs"]["images"]["dtype"]: name
        for name in reversed(names)
        if name in signatures and "images" in signatures[name]["inputs"]
    }
    if not found:
        find_signature(signatures, view)
        raise InputError(f"the signature {view!r} of the served model takes no images")
    if dtype not in found:
        raise InputError(
            f"the served model takes {' or '.join(found)} images only, got {dtype}: send those, or "
            f'export it with input_dtypes=("uint8", "float32")'
        )
    return found[dtype]


def checked(name: str, signature: Signature, arrays: Mapping[str, ArrayLike]) -> Arrays:
    """Return the arrays in the types of a signature.

    Raises:
        InputError: an input is missing or unknown, or does not have the signature's dtype or shape;
            NaN or infinity; inputs with rows do not have the same number of them.
    """
    wanted = signature["inputs"]
    if set(arrays) != set(wanted):
        raise InputError(
            f"the signature {name!r} takes {', '.join(sorted(wanted)) or 'nothing'}, "
            f"got {', '.join(sorted(arrays)) or 'nothing'}"
        )
    found = {key: _checked(key, value, wanted[key]) for key, value in arrays.items()}
    rows = {key: len(array) for key, array in found.items() if _has_rows(wanted[key])}
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"{key} has {count}" for key, count in rows.items())
        raise InputError(f"all inputs must have the same number of rows: {listed}")
    if 0 in rows.values():
        raise InputError(f"{', '.join(rows)} must have at least one row")
    return found


def requests(signature: Signature, arrays: Arrays, batch_size: int) -> Iterator[Arrays]:
    """Cut the arrays into requests of at most `batch_size` rows.

    Where an input or an output has no rows, such as the seed of `generate`, a row may depend on the
    whole request: it is not cut.
    """
    tensors = [*signature["inputs"].values(), *signature["outputs"].values()]
    if not all(_has_rows(spec) for spec in tensors) or not arrays:
        yield arrays
        return
    rows = len(next(iter(arrays.values())))
    for start in range(0, rows, batch_size):
        yield {key: array[start : start + batch_size] for key, array in arrays.items()}


def join(answers: list[tuple[int | None, Arrays]]) -> Arrays:
    """Put answers together along their rows.

    Args:
        answers: of each request, the rows sent (None: not cut) and the outputs.

    Raises:
        ServingError: INTERNAL, an answer does not have the rows of its request.
    """
    if len(answers) == 1:
        return answers[0][1]
    for rows, outputs in answers:
        for key, array in outputs.items():
            if array.shape[:1] != (rows,):
                raise ServingError(
                    "INTERNAL", f"{key} has shape {array.shape} for a request of {rows} rows"
                )
    return {key: np.concatenate([outputs[key] for _, outputs in answers]) for key in answers[0][1]}


def _has_rows(spec: TensorSpec) -> bool:
    return bool(spec["shape"]) and spec["shape"][0] is None  # type: ignore[index]


def _checked(name: str, value: ArrayLike, spec: TensorSpec) -> NDArray[Any]:
    try:
        wanted = np.dtype(spec["dtype"])
    except TypeError:
        wanted = np.dtype(object)
    if wanted.kind not in "fiub":
        raise InputError(f"{name} is {spec['dtype']}: this client sends numbers only")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must be an array of {wanted}: {error}") from error
    array = _in_dtype(name, array, wanted)
    shape = spec["shape"]
    if shape is not None and not (
        array.ndim == len(shape)
        and all(size in (None, found) for size, found in zip(shape, array.shape, strict=True))
    ):
        described = ", ".join("n" if size is None else str(size) for size in shape)
        raise InputError(f"{name} must have shape ({described}), got {array.shape}")
    if wanted.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name} has NaN or infinite values")
    return array


def _in_dtype(name: str, array: NDArray[Any], wanted: np.dtype[Any]) -> NDArray[Any]:
    """Convert where no value changes its meaning: integers that fit, floats to another width."""
    same_kind = array.dtype.kind in {"f": "f", "b": "b"}.get(wanted.kind, "iu")
    if not same_kind:
        raise InputError(f"{name} must be {wanted}, got {array.dtype}")
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise InputError(
                f"{name} must be {wanted}, {limits.min} to {limits.max}: got {low} to {high}"
            )
    with np.errstate(over="ignore"):  # an overflow is infinite, which is refused
        return array.astype(wanted, copy=False)
