#!/usr/bin/env bash
# Under XLA no check in the graph is left, and an index out of range is answered four ways.
#
# Guess: jit_compile=True either keeps tf.debugging assertions or refuses to compile them (as it
# refuses tf.print of a tensor).
# Found: tf.debugging.assert_less, tf.debugging.check_numerics and validate_args=True of TensorFlow
# Probability raise in the plain graph and vanish without a word under XLA: the function returns the
# numbers that they forbid. Operations that check their own input stop checking as well: tf.gather
# takes the nearest row, a segment sum and a scatter leave the row out, sparse cross-entropy gives
# NaN, integer division by 0 gives -1.
#
# Versions: tensorflow 2.21.0, tensorflow-probability[tf] 0.25.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen assert_less: plain InvalidArgumentError, XLA [0, 5]
# Seen check_numerics: plain InvalidArgumentError, XLA [0, nan]
# Seen validate_args: plain InvalidArgumentError, XLA [-0.9189, nan]
# Seen gather: plain InvalidArgumentError, XLA [10, 30]
# Seen segment_sum: plain InvalidArgumentError, XLA [0, 0, 0]
# Seen scatter: plain InvalidArgumentError, XLA [1, 0, 0]
# Seen sparse_cross_entropy: plain InvalidArgumentError, XLA [1.099, nan]
# Seen integer_division: plain InvalidArgumentError, XLA [-1, -1]
#
# What we do about it: arrays are checked in Python before a graph sees them (tfssvae/checks.py),
# and the guard of a training step is a value that it returns, not an assertion. The checks of
# exported signatures hold in TensorFlow Serving's plain graph only.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 tensorflow-probability[tf]==0.25.0 \
    numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp


def assert_less(x):
    tf.debugging.assert_less(x, 1.0)
    return x


def check_numerics(x):
    return tf.debugging.check_numerics(tf.math.log(1.0 - x), "not finite")


def validate_args(x):
    return tfp.distributions.Normal(0.0, 1.0 - x, validate_args=True).log_prob(0.0)


def gather(x):
    return tf.gather([10.0, 20.0, 30.0], tf.cast(x, tf.int32))


def segment_sum(x):
    return tf.math.unsorted_segment_sum(x, tf.cast(x, tf.int32), 3)


def scatter(x):
    rows = tf.cast(x, tf.int32)[:, None]
    return tf.tensor_scatter_nd_add(tf.zeros([3]), rows, tf.ones_like(x))


def sparse_cross_entropy(x):
    logits = tf.zeros([tf.size(x), 3])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(x, tf.int32), logits)


def integer_division(x):
    return tf.cast(x, tf.int32) // tf.cast(x - x, tf.int32)


def answer(function, values, xla):
    try:
        found = tf.function(function, jit_compile=xla)(values).numpy()
    except tf.errors.InvalidArgumentError:
        return "InvalidArgumentError"
    return "[" + ", ".join(f"{v:.4g}" for v in found) + "]"


values = np.array([0.0, 5.0], np.float32)
for function in [
    assert_less, check_numerics, validate_args, gather, segment_sum, scatter,
    sparse_cross_entropy, integer_division,
]:
    plain, xla = answer(function, values, False), answer(function, values, True)
    print(f"{function.__name__}: plain {plain}, XLA {xla}")
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
