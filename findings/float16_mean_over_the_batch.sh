#!/usr/bin/env bash
# A mean over the first axis in float16 stops growing at 2048 rows; the same mean over the last axis
# is right.
#
# Guess: tf.reduce_mean of half-precision numbers adds up in float32, whichever axis it runs over.
# Found: over axis 0 TensorFlow's kernel on a CPU adds row to row in float16, where 2048 + 1 is
# 2048: the mean of 4096 ones is 0.5, that of 20,000 is 0.1. Over all axes, over the last axis,
# under XLA, in bfloat16 and through keras.ops.mean it is 1. The gradient of a broadcast addition is
# such a sum, so it stops at 2048 too.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen float16, 2048 rows: axis 0 1.00, XLA 1.00, keras.ops 1.00, all 1.00, last axis 1.00
# Seen float16, 4096 rows: axis 0 0.50, XLA 1.00, keras.ops 1.00, all 1.00, last axis 1.00
# Seen float16, 20000 rows: axis 0 0.10, XLA 1.00, keras.ops 1.00, all 1.00, last axis 1.00
# Seen float16, gradient of a vector added to 20000 rows: 2048
# Seen bfloat16, 2048 rows: axis 0 1.00, XLA 1.00, keras.ops 1.00, all 1.00, last axis 1.00
# Seen bfloat16, 4096 rows: axis 0 1.00, XLA 1.00, keras.ops 1.00, all 1.00, last axis 1.00
# Seen bfloat16, 20000 rows: axis 0 1.00, XLA 1.00, keras.ops 1.00, all 1.00, last axis 1.00
# Seen bfloat16, gradient of a vector added to 20000 rows: 19968
#
# What we do about it: losses, reductions and statistics are taken in float32 under every precision
# (docs/performance.md, "Half precision"); code that adds one should cast first.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import keras
import tensorflow as tf


@tf.function(jit_compile=True)
def mean_xla(x):
    return tf.reduce_mean(x, 0)


for dtype in ["float16", "bfloat16"]:
    for rows in [2048, 4096, 20000]:
        ones = tf.ones([rows, 3], dtype)
        means = {
            "axis 0": tf.reduce_mean(ones, 0)[0],
            "XLA": mean_xla(ones)[0],
            "keras.ops": keras.ops.mean(ones, 0)[0],
            "all": tf.reduce_mean(ones),
            "last axis": tf.reduce_mean(tf.transpose(ones), 1)[0],
        }
        print(f"{dtype}, {rows} rows:", ", ".join(f"{k} {float(v):.2f}" for k, v in means.items()))
    vector = tf.zeros([3], dtype)
    with tf.GradientTape() as tape:
        tape.watch(vector)
        total = tf.reduce_sum(tf.cast(tf.ones([20000, 3], dtype) + vector, "float32"))
    gradient = float(tape.gradient(total, vector)[0])
    print(f"{dtype}, gradient of a vector added to 20000 rows: {gradient:g}")
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
