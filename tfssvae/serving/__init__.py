"""SavedModel export for TensorFlow Serving and others, TFLite and ONNX files; a client.

All are imported when they are first used: the client does not need TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfssvae.serving.client import Client, ServingError
    from tfssvae.serving.conversion import (
        Conversion,
        ConvertedFile,
        check_extra,
        convert,
        describe_conversion,
    )
    from tfssvae.serving.saved_model import export

_MODULES = {
    "client": ("Client", "ServingError"),
    "conversion": (
        "Conversion",
        "ConvertedFile",
        "check_extra",
        "convert",
        "describe_conversion",
    ),
    "saved_model": ("export",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Client",
    "Conversion",
    "ConvertedFile",
    "ServingError",
    "check_extra",
    "convert",
    "describe_conversion",
    "export",
]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f"tfssvae.serving.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'tfssvae.serving' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
