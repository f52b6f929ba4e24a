"""numpy arrays as TensorFlow's tensor messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae.serving.client import messages
from tfssvae.serving.client.errors import ServingError
from tfssvae.serving.client.interface import DTYPES

NUMBERS = {name: number for number, name in DTYPES.items()}
_VALUES = {
    "float16": "half_val",
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}


def to_message(array: NDArray[Any]) -> Any:
    """Return a TensorProto of any array of numbers.

    >>> to_array(to_message(np.array([[1.5, 2.0]], "float32")))
    array([[1.5, 2. ]], dtype=float32)
    """
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    tensor = messages.TensorProto(
        dtype=NUMBERS[array.dtype.name], tensor_content=little_endian.tobytes()
    )
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def to_array(tensor: Any) -> NDArray[Any]:
    """Return the array of a TensorProto.

    Values are either raw bytes or a list, in which a last value that repeats is written once.

    Raises:
        ServingError: INTERNAL, the type has no place in numpy or the values do not fill the shape.
    """
    name = DTYPES.get(tensor.dtype, f"type number {tensor.dtype}")
    if name not in _VALUES:
        raise ServingError("INTERNAL", f"the server answered with {name}, not with numbers")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size = math.prod(shape)
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, np.dtype(name).newbyteorder("<"))
        values = values.astype(name)  # a copy, which may be written to
    else:
        listed = getattr(tensor, _VALUES[name])
        if name == "float16":
            values = np.array(listed, "uint16").view(name)
        else:
            values = np.array(listed, name)
        missing = size - len(values)
        if missing > 0:
            last = values[-1] if len(values) else np.zeros((), name)
            values = np.concatenate([values, np.full(missing, last, name)])
    if len(values) != size:
        raise ServingError("INTERNAL", f"the server sent {len(values)} values for shape {shape}")
    return values.reshape(shape)
