#!/usr/bin/env bash
# tf.where in an ONNX file is arithmetic: what is infinite in the branch not taken comes out as NaN.
#
# Guess: tf2onnx writes tf.where as ONNX's operator Where, which selects. So the usual guard
# (compute both branches, select the finite one) holds in the file.
# Found: for opset 13 and 18 tf2onnx 1.17 writes cond * x + not(cond) * y. Zero times infinity is
# NaN, so a softplus guarded at 20, a logarithm guarded at 0 and even tf.where(is_finite(x), x, 0)
# give NaN in onnxruntime where TensorFlow gives a number. tf.math.divide_no_nan becomes a real
# Where and holds.
#
# Versions: tensorflow 2.21.0, tf2onnx 1.17.0, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python
# 3.11, CPU.
#
# Seen softplus, 13: tf 0 0.127 2.13 100 inf; onnx 0 0.127 2.13 nan nan; Where: False
# Seen softplus, 18: tf 0 0.127 2.13 100 inf; onnx 0 0.127 2.13 nan nan; Where: False
# Seen logarithm, 13: tf 0 0 0.693 4.61 inf; onnx nan nan 0.693 4.61 inf; Where: False
# Seen logarithm, 18: tf 0 0 0.693 4.61 inf; onnx nan nan 0.693 4.61 inf; Where: False
# Seen finite, 13: tf -100 -2 2 100 0; onnx -100 -2 2 100 nan; Where: False
# Seen finite, 18: tf -100 -2 2 100 0; onnx -100 -2 2 100 nan; Where: False
# Seen clamped, 13: tf 0 0.127 2.13 100 inf; onnx 0 0.127 2.13 100 inf; Where: False
# Seen clamped, 18: tf 0 0.127 2.13 100 inf; onnx 0 0.127 2.13 100 inf; Where: False
# Seen reciprocal, 13: tf -0.0098 -0.25 0 0.0102 0; onnx -0.0098 -0.25 0 0.0102 0; Where: True
# Seen reciprocal, 18: tf -0.0098 -0.25 0 0.0102 0; onnx -0.0098 -0.25 0 0.0102 0; Where: True
#
# What we do about it: nothing that is exported may lean on tf.where to hide an infinity: clamp the
# input of the branch instead (tf.maximum, tf.minimum), which holds in every engine for finite
# inputs.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 tf2onnx==1.17.0 onnx==1.23.2 \
    onnxruntime==1.32.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import logging

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

logging.disable(logging.WARNING)
VALUES = np.array([-100.0, -2.0, 2.0, 100.0, np.inf], np.float32)


def softplus(x):
    return tf.where(x > 20.0, x, tf.math.log(1.0 + tf.exp(x)))


def logarithm(x):
    return tf.where(x > 0.0, tf.math.log(x), 0.0)


def finite(x):
    return tf.where(tf.math.is_finite(x), x, 0.0)


def clamped(x):
    return tf.where(x > 20.0, x, tf.math.log(1.0 + tf.exp(tf.minimum(x, 20.0))))


def reciprocal(x):
    return tf.math.divide_no_nan(1.0, x - 2.0)


def shown(values):
    return " ".join(f"{v:.3g}" for v in values)


for function in [softplus, logarithm, finite, clamped, reciprocal]:
    signature = [tf.TensorSpec([None], tf.float32, name="x")]
    graph = tf.function(function, input_signature=signature)
    for opset in [13, 18]:
        model, _ = tf2onnx.convert.from_function(graph, input_signature=signature, opset=opset)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = session.run(None, {"x": VALUES})[0]
        operators = {node.op_type for node in model.graph.node}
        print(
            f"{function.__name__}, {opset}: tf {shown(graph(VALUES).numpy())};"
            f" onnx {shown(found)}; Where: {'Where' in operators}"
        )
EOF
export TF_CPP_MIN_LOG_LEVEL=3
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
