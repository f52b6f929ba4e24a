"""SavedModel export for TensorFlow Serving and others, and files for TFLite and ONNX Runtime."""

from tfssvae.serving.convert import (
    Conversion,
    ConvertedFile,
    check_extra,
    convert,
    describe_conversion,
)
from tfssvae.serving.saved_model import export

__all__ = [
    "Conversion",
    "ConvertedFile",
    "check_extra",
    "convert",
    "describe_conversion",
    "export",
]
