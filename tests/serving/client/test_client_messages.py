"""What the client writes on the wire is what TensorFlow's own modules read, and back."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import wrappers_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from tfssvae.serving.client import messages
from tfssvae.serving.client.errors import ServingError
from tfssvae.serving.client.interface import DTYPES, DTYPES_BY_REST_NAME
from tfssvae.serving.client.tensors import to_array, to_message

OFFICIAL = {
    "Int64Value": wrappers_pb2.Int64Value,
    "Any": Any,
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorEntry": predict_pb2.PredictRequest.InputsEntry,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "TensorInfoEntry": meta_graph_pb2.SignatureDef.InputsEntry,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "SignatureDefEntry": get_model_metadata_pb2.SignatureDefMap.SignatureDefEntry,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "AnyEntry": get_model_metadata_pb2.GetModelMetadataResponse.MetadataEntry,
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
    "StatusProto": status_pb2.StatusProto,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
}


@pytest.mark.parametrize("name", messages.FIELDS)
def test_fields_are_those_of_tensorflow(name):
    ours = messages._CLASSES[name].DESCRIPTOR
    theirs = OFFICIAL[name].DESCRIPTOR
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert field.number == other.number
        assert field.is_repeated == other.is_repeated
        # An enumeration is a whole number on the wire.
        enum = other.type == FieldDescriptor.TYPE_ENUM
        assert field.type == (FieldDescriptor.TYPE_INT32 if enum else other.type)


def test_numbers_of_dtypes_and_states_are_those_of_tensorflow():
    for number, name in DTYPES.items():
        assert tf.as_dtype(number).name == name
        assert DTYPES_BY_REST_NAME[types_pb2.DataType.Name(number)] == name
    states = get_model_status_pb2.ModelVersionStatus.State
    assert {states.Name(number): number for number in messages.STATES} == {
        name: number for number, name in messages.STATES.items()
    }


NUMERIC = [name for name in DTYPES.values() if name not in ("string", "bfloat16")]


def some(dtype, shape=(2, 3)):
    values = np.random.default_rng(0).integers(0, 100, shape)
    return (values % 2 if dtype == "bool" else values).astype(dtype)


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_tensorflow_reads_our_tensors_and_we_read_its(dtype, shape):
    array = some(dtype, shape)
    message = tensor_pb2.TensorProto.FromString(to_message(array).SerializeToString())
    read = tf.make_ndarray(message)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    theirs = tf.make_tensor_proto(array).SerializeToString()
    back = to_array(messages.TensorProto.FromString(theirs))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    np.testing.assert_array_equal(to_array(to_message(big_endian)), array)


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("values", [[], [1], [0, 1]])
def test_a_list_of_values_goes_on_with_the_last(dtype, values):
    theirs = tf.make_tensor_proto(np.zeros(0, dtype))
    for size in (2, 3):
        theirs.tensor_shape.dim.add(size=size)
    del theirs.tensor_shape.dim[0]
    scalar = tf.make_tensor_proto(np.ones((), dtype))
    (field,) = [f for f, _ in scalar.ListFields() if f.name.endswith("_val")] or [None]
    if field is None:
        pytest.skip("TensorFlow writes this type as bytes")
    one = getattr(scalar, field.name)[0]
    getattr(theirs, field.name).extend([one * value for value in values])
    found = to_array(messages.TensorProto.FromString(theirs.SerializeToString()))
    assert found.dtype == dtype
    filled = values + [values[-1] if values else 0] * (6 - len(values))
    np.testing.assert_array_equal(found, np.reshape(filled, (2, 3)).astype(dtype))


def test_answers_that_are_no_numbers_are_refused():
    text = messages.TensorProto.FromString(tf.make_tensor_proto("text").SerializeToString())
    with pytest.raises(ServingError, match="INTERNAL: the server answered with string"):
        to_array(text)
    short = to_message(np.zeros(3, "int32"))
    short.tensor_shape.dim[0].size = 2
    with pytest.raises(ServingError, match=r"3 values for shape \[2\]"):
        to_array(short)
