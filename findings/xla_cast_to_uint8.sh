#!/usr/bin/env bash
# Floats become other bytes under XLA: the plain cast to uint8 wraps around, XLA's saturates.
#
# Guess: tf.cast of a float outside 0..255 to uint8 gives the same byte in both engines (or is at
# least the same kind of wrong).
# Found, on x86: 300 is 44 in the plain graph and 255 under XLA, -1 is 255 and 0, 1e10 is 0 and 255.
# To int32, 3e9 and NaN are -2147483648 in the plain graph; under XLA 3e9 is 2147483647 and NaN is
# 0. A picture whose decoder overshoots has black specks in one engine and white ones in the other;
# a label made of NaN becomes class 0 under XLA.
#
# Versions: tensorflow 2.21.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen values: -1.0 -0.5 255.7 300.0 3e+09 1e+10 nan
# Seen as_bytes, plain: 255 0 255 44 0 0 0
# Seen as_bytes, XLA: 0 0 255 255 255 255 0
# Seen as_integers, plain: -1 0 255 300 -2147483648 -2147483648 -2147483648
# Seen as_integers, XLA: -1 0 255 300 2147483647 2147483647 0
# Seen saturated, plain: 0 0 255 255 255 255 0
# Seen saturated, XLA: 0 0 255 255 255 255 0
#
# What we do about it: pixels are clipped before they become bytes, or go through
# tf.image.convert_image_dtype(..., saturate=True) as in tfssvae/training/projector.py; labels are
# checked as numbers before any cast.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
import tensorflow as tf


def as_bytes(x):
    return tf.cast(x, tf.uint8)


def as_integers(x):
    return tf.cast(x, tf.int32)


def saturated(x):
    return tf.saturate_cast(x, tf.uint8)


values = np.array([-1.0, -0.5, 255.7, 300.0, 3e9, 1e10, np.nan], np.float32)
print("values:", *values)
for function in [as_bytes, as_integers, saturated]:
    plain = tf.function(function)(values).numpy()
    xla = tf.function(function, jit_compile=True)(values).numpy()
    print(f"{function.__name__}, plain:", *plain)
    print(f"{function.__name__}, XLA:", *xla)
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
