"""TensorFlow Serving's JSON: the row form, the columnar form, and numbers.

A request has `instances`, one entry per example, or `inputs`, one entry per tensor; its answer has
`predictions` or `outputs` in the same form. A sole named input or output may go without its name.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2

from tfssvae.serving.development.failure import Failure, invalid

Form = Literal["row", "columnar"]
Infos = Mapping[str, meta_graph_pb2.TensorInfo]
_SHOWN = 80
_MAX_RANK = 32
_KINDS = {dict: "Object", list: "Array", str: "String", bool: "Bool", type(None): "Null"}


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request.

    NaN, Infinity and -Infinity are numbers, as in TensorFlow Serving.

    Args:
        body: UTF-8 text.

    Raises:
        Failure: the body is no JSON object.

    >>> parse(b'{"instances": [1]}')
    {'instances': [1]}
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        found = json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise invalid("JSON Parse error: too many nested lists") from None
    except ValueError as error:  # of UTF-8, of JSON, of numbers with thousands of digits
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(found, dict):
        raise invalid(f"JSON Value: {_shown(found)} Is not object")
    return found


def signature_name(request: Mapping[str, Any]) -> str:
    """Return the signature that a request names, or "".

    Raises:
        Failure: the name is no text.

    >>> signature_name({"signature_name": "encode"})
    'encode'
    """
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(f"'signature_name' key must be a string value, got {_shown(name)}")
    return name


def read_inputs(request: Mapping[str, Any], infos: Infos) -> tuple[Form, dict[str, NDArray[Any]]]:
    """Return the tensors of a predict request.

    Args:
        request: the JSON object, with `instances` or `inputs`.
        infos: input name -> its dtype and shape, of the signature.

    Returns:
        The form, which the answer has as well, and input name -> array.

    Raises:
        Failure: neither or both keys are there, or a value is no tensor of the dtype.
    """
    if "instances" in request and "inputs" in request:
        raise invalid("expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in request:
        return "row", _from_rows(request["instances"], infos)
    if "inputs" in request:
        return "columnar", _from_columns(request["inputs"], infos)
    raise invalid("Missing 'inputs' or 'instances' key")


def write_outputs(form: Form, outputs: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the JSON text of an answer.

    Args:
        form: of the request.
        outputs: output name -> array.

    Raises:
        Failure: in the row form, the outputs do not all have one row per example.

    >>> write_outputs("row", {"x": np.array([0.5, 1.0], "float32"), "k": np.array([3, 4])})
    b'{"predictions": [{"k": 3, "x": 0.5}, {"k": 4, "x": 1.0}]}'
    >>> write_outputs("columnar", {"codes": np.zeros((1, 2))})
    b'{"outputs": [[0.0, 0.0]]}'
    """
    names = sorted(outputs)
    if form == "row":
        _check_rows(outputs)
    values = [_plain(name, outputs[name]) for name in names]
    found: Any
    if len(names) == 1:
        found = values[0]
    elif form == "columnar":
        found = dict(zip(names, values, strict=True))
    else:
        found = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return json.dumps({"predictions" if form == "row" else "outputs": found}).encode()


def tensor_from_json(value: Any, dtype: tf.DType) -> NDArray[Any]:
    """Return a number or nested lists as an array.

    Like TensorFlow Serving it takes whole numbers for floats, but not 1.0 for an integer. Unlike
    it, an integer outside the range of its dtype is refused; there the upper bits are dropped.

    Args:
        value: a number, text, true or false, {"b64": text} for bytes, or nested lists of these.
        dtype: of the tensor.

    Raises:
        Failure: the lists are ragged, or a value has another type or does not fit.

    >>> tensor_from_json([[1, 2], [3, 4]], tf.uint8)
    array([[1, 2],
           [3, 4]], dtype=uint8)
    """
    shape: list[int] = []
    items = [value]
    # Level by level, by functions written in C: a request holds millions of numbers.
    while items and type(items[0]) is list:
        if not all(type(item) is list for item in items):
            raise _ragged(items, shape)
        if len(set(map(len, items))) > 1:
            raise _ragged(items, shape)
        shape.append(len(items[0]))
        if len(shape) > _MAX_RANK:
            raise invalid(f"lists are nested deeper than {_MAX_RANK}")
        items = list(chain.from_iterable(items))
    if list in set(map(type, items)):
        raise _ragged(items, shape)
    return _leaves(items, dtype).reshape(shape)


def _from_rows(instances: Any, infos: Infos) -> dict[str, NDArray[Any]]:
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be a list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    named = [isinstance(item, dict) and not _is_bytes(item) for item in instances]
    if not named[0]:
        if len(infos) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input "
                f"tensors are required: {','.join(sorted(infos))}"
            )
        if any(named):
            raise invalid(
                f"Expecting value/list but got object at item {named.index(True)} of input list"
            )
        return {name: _tensor(name, instances, info) for name, info in infos.items()}
    for index, (item, is_named) in enumerate(zip(instances, named, strict=True)):
        if not is_named:
            raise invalid(f"Expecting object but got list at item {index} of input list")
        if item.keys() != set(infos):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{_shown(item)} keys must be equal to: {','.join(sorted(infos))}"
            )
    return {
        name: _tensor(name, [item[name] for item in instances], info)
        for name, info in infos.items()
    }


def _from_columns(inputs: Any, infos: Infos) -> dict[str, NDArray[Any]]:
    if not isinstance(inputs, dict) or _is_bytes(inputs):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input "
                f"tensors are required: {','.join(sorted(infos))}"
            )
        return {name: _tensor(name, inputs, info) for name, info in infos.items()}
    for name in infos:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(name, inputs[name], info) for name, info in infos.items()}


def _tensor(name: str, value: Any, info: meta_graph_pb2.TensorInfo) -> NDArray[Any]:
    try:
        return tensor_from_json(value, tf.as_dtype(info.dtype))
    except Failure as failure:
        raise Failure(failure.code, f"input {name}: {failure.message}") from None


def _leaves(items: list, dtype: tf.DType) -> NDArray[Any]:
    if dtype == tf.string:
        array = np.empty(len(items), object)
        array[:] = [_text(item) for item in items]
        return array
    if dtype == tf.bool:
        _require_types(items, {bool}, dtype)
        return np.array(items, bool)
    if dtype.is_integer and dtype.as_numpy_dtype in (
        *(np.int8, np.int16, np.int32, np.int64),
        *(np.uint8, np.uint16, np.uint32, np.uint64),
    ):
        _require_types(items, {int}, dtype)
        _require_range(items, dtype.min, dtype.max, dtype)
        return np.array(items, dtype.as_numpy_dtype)
    if dtype in (tf.float32, tf.float64):
        _require_types(items, {int, float}, dtype)
        return _floats(items, dtype)
    raise Failure("UNIMPLEMENTED", f"JSON values cannot be converted to type: {dtype.name}")


def _floats(items: list, dtype: tf.DType) -> NDArray[Any]:
    # A whole number has to be kept to its last digit, a decimal has to fit.
    exact = 2 ** (np.finfo(dtype.as_numpy_dtype).nmant + 1) - 1
    whole = [item for item in items if type(item) is int]
    _require_range(whole, -exact, exact, dtype)
    values = np.array(items, np.float64)
    finite = values[np.isfinite(values)]
    if finite.size and np.abs(finite).max() > dtype.max:
        raise _outside(items, float(dtype.min), float(dtype.max), dtype)
    return values.astype(dtype.as_numpy_dtype)


def _require_types(items: list, wanted: set, dtype: tf.DType) -> None:
    if not set(map(type, items)) <= wanted:
        raise _wrong_type(next(item for item in items if type(item) not in wanted), dtype)


def _require_range(items: Sequence, low, high, dtype: tf.DType) -> None:
    if items and (min(items) < low or max(items) > high):
        raise _outside(items, low, high, dtype)


def _outside(items: Sequence, low, high, dtype: tf.DType) -> Failure:
    # NaN and the infinities fit into every float.
    numbers = (item for item in items if item == item and abs(item) != math.inf)
    worst = next(item for item in numbers if not low <= item <= high)
    return invalid(f"JSON Value: {_shown(worst)} does not fit into type: {dtype.name}")


def _text(item: Any) -> bytes:
    if isinstance(item, str):
        try:
            return item.encode()
        except UnicodeEncodeError:
            raise invalid(f"JSON Value: {_shown(item)} is no Unicode text") from None
    if isinstance(item, dict):
        if not _is_bytes(item):
            raise invalid(f"JSON Value: {_shown(item)} not formatted correctly for base64 data")
        try:
            return base64.b64decode(item["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise invalid("Unable to base64 decode") from None
    raise _wrong_type(item, tf.string)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _ragged(items: list, shape: list[int]) -> Failure:
    level = len(shape)
    if not all(type(item) is list for item in items):
        return invalid(f"numbers and lists are mixed at level {level} of the nested lists")
    sizes = sorted(set(map(len, items)))
    return invalid(
        f"Encountered lists of unequal size at level {level} of the nested lists: {sizes[:5]}"
    )


def _wrong_type(item: Any, dtype: tf.DType) -> Failure:
    kind = _KINDS.get(type(item), "Number")
    return invalid(f"JSON Value: {_shown(item)} Type: {kind} is not of expected type: {dtype.name}")


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (RecursionError, ValueError):  # numbers with thousands of digits, deep lists
        return "(too long)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _check_rows(outputs: Mapping[str, NDArray[Any]]) -> None:
    sizes = set()
    for name, value in sorted(outputs.items()):
        if value.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information: use the columnar form")
        sizes.add(len(value))
    if len(sizes) > 1:
        raise invalid(f"outputs have inconsistent batch sizes {sorted(sizes)}: use 'inputs'")


def _plain(name: str, value: NDArray[Any]) -> Any:
    if value.dtype == object:
        decode = _b64 if name.endswith("_bytes") else _unicode
        return np.frompyfunc(decode, 1, 1)(value).tolist() if value.ndim else decode(value.item())
    if value.dtype == np.float32:
        value = _shortest(value)
    elif value.dtype.kind not in "biuf":
        value = value.astype(np.float32)  # bfloat16, which JSON has no other way to write
    return value.tolist()


def _b64(item: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(item).decode()}


def _unicode(item: bytes) -> str:
    return item.decode("utf-8", "replace")


def _shortest(value: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return doubles with few digits that are the same float32: 0.2, not 0.20000000298023224."""
    with np.errstate(all="ignore"):
        exact = value.astype(np.float64)
        found = exact.copy()
        exponent = np.floor(np.log10(np.abs(exact)))
        for digits in (9, 8, 7, 6):
            scale = 10.0 ** (digits - 1 - exponent)
            rounded = np.rint(exact * scale) / scale
            same = rounded.astype(np.float32) == value
            found[same] = rounded[same]
    return found
