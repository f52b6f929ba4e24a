"""What a served model offers, as both transports describe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypedDict

from numpy.typing import NDArray

from tfssvae.checks import InputError
from tfssvae.library_errors import install_hint

# Numbers of TensorFlow's data types; text and bfloat16 have no place in numpy.
DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
DTYPES_BY_REST_NAME = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    **{f"DT_{name.upper()}": name for name in DTYPES.values() if not name.startswith("float")},
}


class TensorSpec(TypedDict):
    """A tensor of a signature; null is any size, a null shape any rank."""

    dtype: str
    shape: list[int | None] | None


class Signature(TypedDict):
    """A function of a served model."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


class VersionStatus(NamedTuple):
    """One version of a model on a server.

    Attributes:
        version: its number.
        state: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END".
        message: why it could not be loaded, otherwise empty.
    """

    version: int
    state: str
    message: str


class ModelSpec(NamedTuple):
    """Which model is asked: its latest version, that of a number, or that of a label."""

    name: str
    version: int | None = None
    label: str | None = None


class Transport(Protocol):
    """One way to a server. Each call raises ServingError, and takes `seconds` at most."""

    def metadata(self, model: ModelSpec, seconds: float) -> dict[str, Signature]: ...

    def status(self, model: ModelSpec, seconds: float) -> list[VersionStatus]: ...

    def predict(
        self,
        model: ModelSpec,
        name: str,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        seconds: float,
    ) -> dict[str, NDArray[Any]]: ...

    def close(self) -> None: ...


def connect(address: str, headers: Mapping[str, str]) -> Transport:
    """Choose the transport: REST for http:// and https://, gRPC for everything else.

    Raises:
        InputError: the address names another scheme, or no host.
        ImportError: the packages of this transport are not installed.
    """
    scheme, separator, rest = str(address).rpartition("://")
    if not rest.strip("/") or scheme not in ("", "http", "https", "grpc", "grpcs"):
        raise InputError(
            'address must be "http://host:8501" or "https://..." for REST, "host:8500", '
            f'"grpc://..." or "grpcs://..." (with TLS) for gRPC, got {address!r}'
        )
    try:
        if scheme.startswith("http"):
            from tfssvae.serving.client.rest import Rest

            return Rest(f"{scheme}{separator}{rest}", headers)
        from tfssvae.serving.client.over_grpc import Grpc

        return Grpc(rest, headers, secure=scheme == "grpcs")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"the client needs {error.name} for this address: {install_hint('serving')}"
        ) from error
