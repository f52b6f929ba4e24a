"""Answers that both protocols give: status, metadata, refusals."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tfssvae.serving.development.failure import Failure, invalid
from tfssvae.serving.development.loaded_model import DEFAULT_SIGNATURE, LoadedModel
from tfssvae.serving.development.model_store import VersionStatus

_UNKNOWN = 2  # the canonical code of an error that has no better one
_METHOD_NAMES = {
    "classify": ("classification", "tensorflow/serving/classify"),
    "regress": ("regression", "tensorflow/serving/regress"),
}


def status(
    versions: Iterable[VersionStatus],
) -> get_model_status_pb2.GetModelStatusResponse:
    """Return how versions are, as TensorFlow Serving tells it.

    Args:
        versions: the versions.
    """
    found = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        entry = found.model_version_status.add(version=version.version)
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
        if version.error:
            entry.status.error_code = _UNKNOWN
        entry.status.error_message = version.error
    return found


def metadata(model: LoadedModel) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Return the signatures of a model, as TensorFlow Serving tells them.

    Args:
        model: the version.
    """
    found = get_model_metadata_pb2.GetModelMetadataResponse()
    found.model_spec.name = model.name
    found.model_spec.version.value = model.version
    found.metadata["signature_def"].Pack(_signatures(model))
    return found


def metadata_as_json(model: LoadedModel) -> dict[str, Any]:
    """Return the signatures of a model as a JSON object, as TensorFlow Serving tells them.

    Args:
        model: the version.
    """
    return {
        "model_spec": as_json(metadata(model).model_spec),
        "metadata": {"signature_def": as_json(_signatures(model))},
    }


def as_json(message: Any) -> dict[str, Any]:
    """Return a protocol message as a JSON object with every field, empty ones included.

    Args:
        message: of any type.
    """
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def wrong_method(model: LoadedModel, signature: str, verb: str) -> Failure:
    """Return the refusal of a call that is not "predict".

    The signatures of exported models are for "predict"; the others take tf.train.Example.

    Args:
        model: the version.
        signature: the name that the client gave, or "".
        verb: "classify" or "regress".
    """
    name = signature or DEFAULT_SIGNATURE
    if model.signature(name) is None:
        return invalid(f"No signature was found with the name: {name}")
    kind, wanted = _METHOD_NAMES[verb]
    return invalid(
        f"Expected {kind} signature method_name to be {wanted}. "
        f"Was: {model.signatures[name].method_name}. Use predict."
    )


def _signatures(model: LoadedModel) -> get_model_metadata_pb2.SignatureDefMap:
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in model.signatures.items():
        found.signature_def[name].CopyFrom(signature)
    return found
