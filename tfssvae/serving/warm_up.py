"""Requests that TensorFlow Serving sends itself before it serves a version, so that none is slow.

They lie in `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog messages.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfssvae.serving.example_inputs import example_inputs

FILE = Path("assets.extra", "tf_serving_warmup_requests")
_ROWS = (1, 8, 64)  # of the requests: a single image, a small batch, a large one


def can_write() -> bool:
    """Return whether the messages' definitions are installed (the extra "serving")."""
    return find_spec("tensorflow_serving") is not None


def write_warm_up(path: Path, interface: Mapping[str, Any], examples: NDArray[Any]) -> int:
    """Write requests to every signature whose inputs have rows, of 1, 8 and 64 rows.

    Args:
        path: the folder of the version.
        interface: as `assets/interface.json` has it.
        examples: (n, *input_shape) uint8 images, n at least 1; repeated where they are too few.

    Returns:
        How many requests were written.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    file = path / FILE
    file.parent.mkdir()
    count = 0
    with tf.io.TFRecordWriter(str(file)) as writer:
        for rows in _ROWS:
            images = np.resize(examples, (rows, *examples.shape[1:]))
            for name, signature in interface["signatures"].items():
                # A server that merges requests has no place for a scalar, and would not load the
                # version whose warm-up has one.
                if not all(spec["shape"] for spec in signature["inputs"].values()):
                    continue
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = name
                inputs = example_inputs(signature["inputs"], images, interface["num_classes"])
                for key, value in inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
                log = prediction_log_pb2.PredictLog(request=request)
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
                count += 1
    return count
