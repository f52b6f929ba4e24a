"""SavedModel export for TensorFlow Serving and for any program that reads SavedModels."""

from tfssvae.serving.saved_model import export

__all__ = ["export"]
