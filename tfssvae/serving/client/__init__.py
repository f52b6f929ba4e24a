"""A client of TensorFlow Serving: numpy in and out, over REST or gRPC, without TensorFlow."""

from tfssvae.serving.client.client import Client
from tfssvae.serving.client.errors import ServingError
from tfssvae.serving.client.interface import VersionStatus

__all__ = ["Client", "ServingError", "VersionStatus"]
