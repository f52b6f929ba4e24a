"""SavedModel export for TensorFlow Serving and for any program that reads SavedModels; a client.

Both are imported when they are first used: the client does not need TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfssvae.serving.client import Client, ServingError
    from tfssvae.serving.saved_model import export

__all__ = ["Client", "ServingError", "export"]

_NAMES = {
    "Client": "tfssvae.serving.client",
    "ServingError": "tfssvae.serving.client",
    "export": "tfssvae.serving.saved_model",
}


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'tfssvae.serving' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
