"""The messages of TensorFlow Serving's gRPC interface, as far as the client uses them.

The generated modules of tensorflow-serving-api import TensorFlow, which takes seconds and hundreds
of megabytes. Only numbers and types of fields matter on the wire, so they are declared here, in a
pool of their own: both can be imported by one process. A map is a list of entries on the wire.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfssvae.wire"

# message -> field -> (number, type); a type in brackets is repeated, one with a capital a message.
FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "Int64Value": {"value": (1, "int64")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "Dim": {"size": (1, "int64")},
    "TensorShapeProto": {"dim": (2, "[Dim]"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "double_val": (6, "[double]"),
        "int_val": (7, "[int32]"),
        "int64_val": (10, "[int64]"),
        "bool_val": (11, "[bool]"),
        "half_val": (13, "[int32]"),
        "uint32_val": (16, "[uint32]"),
        "uint64_val": (17, "[uint64]"),
    },
    "TensorEntry": {"key": (1, "string"), "value": (2, "TensorProto")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Int64Value"),
        "version_label": (4, "string"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "[TensorEntry]")},
    "PredictResponse": {"outputs": (1, "[TensorEntry]")},
    "TensorInfo": {"dtype": (2, "int32"), "tensor_shape": (3, "TensorShapeProto")},
    "TensorInfoEntry": {"key": (1, "string"), "value": (2, "TensorInfo")},
    "SignatureDef": {"inputs": (1, "[TensorInfoEntry]"), "outputs": (2, "[TensorInfoEntry]")},
    "SignatureDefEntry": {"key": (1, "string"), "value": (2, "SignatureDef")},
    "SignatureDefMap": {"signature_def": (1, "[SignatureDefEntry]")},
    "AnyEntry": {"key": (1, "string"), "value": (2, "Any")},
    "GetModelMetadataRequest": {
        "model_spec": (1, "ModelSpec"),
        "metadata_field": (2, "[string]"),
    },
    "GetModelMetadataResponse": {"metadata": (2, "[AnyEntry]")},
    "StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, "StatusProto"),
    },
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "GetModelStatusResponse": {"model_version_status": (1, "[ModelVersionStatus]")},
}
STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


def _declare() -> dict[str, Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="tfssvae/wire.proto", package=_PACKAGE, syntax="proto3"
    )
    for message, fields in FIELDS.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            plain = kind.strip("[]")
            is_message = plain[0].isupper()
            declared.field.add(
                name=name,
                number=number,
                label=kinds.LABEL_REPEATED if kind != plain else kinds.LABEL_OPTIONAL,
                type=kinds.TYPE_MESSAGE
                if is_message
                else kinds.Type.Value(f"TYPE_{plain.upper()}"),
                type_name=f".{_PACKAGE}.{plain}" if is_message else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        message: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{message}")
        )
        for message in FIELDS
    }


_CLASSES = _declare()
GetModelMetadataRequest = _CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["GetModelMetadataResponse"]
GetModelStatusRequest = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["GetModelStatusResponse"]
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
SignatureDefMap = _CLASSES["SignatureDefMap"]
TensorProto = _CLASSES["TensorProto"]
