#!/usr/bin/env bash
# The inverse of the normal distribution function under XLA: minus infinity for probabilities below
# 3e-8, coarse below 1e-5.
#
# Guess: tf.math.ndtri, and Normal.quantile of TensorFlow Probability on top of it, agree with and
# without XLA to the last bits of float32.
# Found: the plain kernel is right to 7 digits down to 1e-10. Under XLA the function is computed
# from 2p - 1, which float32 rounds: 1e-8 gives -inf where -5.612 is right, 1e-7 and 1e-6 are wrong
# in the third digit, and from 0.001 on the two agree to five. Draws that go through the inverse
# would be infinite about once in 30 million under XLA alone, and their lower tail has steps that
# the upper one has in both.
#
# Versions: tensorflow 2.21.0, tensorflow-probability[tf] 0.25.0, scipy 1.17.1, numpy 2.4.6, Python
# 3.11, CPU.
#
# Seen inverse of 1e-10: right -6.3613, plain -6.3613, XLA -inf
# Seen inverse of 1e-08: right -5.6120, plain -5.6120, XLA -inf
# Seen inverse of 1e-07: right -5.1993, plain -5.1993, XLA -5.220
# Seen inverse of 1e-06: right -4.7534, plain -4.7534, XLA -4.751
# Seen inverse of 1e-05: right -4.2649, plain -4.2649, XLA -4.265
# Seen inverse of 1e-03: right -3.0902, plain -3.0902, XLA -3.090
# Seen inverse of 5e-01: right 0.0000, plain 0.0000, XLA 0.000
# Seen inverse of 1e+00: right 3.0902, plain 3.0902, XLA 3.090
# Seen quantile of 1e-10: right -6.3613, plain -6.3613, XLA -inf
# Seen quantile of 1e-08: right -5.6120, plain -5.6120, XLA -inf
# Seen quantile of 1e-07: right -5.1993, plain -5.1993, XLA -5.220
# Seen quantile of 1e-06: right -4.7534, plain -4.7534, XLA -4.751
# Seen quantile of 1e-05: right -4.2649, plain -4.2649, XLA -4.265
# Seen quantile of 1e-03: right -3.0902, plain -3.0902, XLA -3.090
# Seen quantile of 5e-01: right 0.0000, plain 0.0000, XLA 0.000
# Seen quantile of 1e+00: right 3.0902, plain 3.0902, XLA 3.090
#
# What we do about it: noise is drawn by Philox and TensorFlow's normals (tfssvae/noise.py), not by
# this inverse; whoever changes that draws from both tails (sign times the inverse of a half) and
# keeps the uniforms above 1e-7.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 tensorflow-probability[tf]==0.25.0 \
    scipy==1.17.1 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import ndtri

PROBABILITIES = np.array([1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3, 0.5, 0.999], np.float32)


def inverse(p):
    return tf.math.ndtri(p)


def quantile(p):
    return tfp.distributions.Normal(0.0, 1.0).quantile(p)


right = ndtri(PROBABILITIES.astype(np.float64))
for function in [inverse, quantile]:
    plain = tf.function(function)(PROBABILITIES).numpy()
    xla = tf.function(function, jit_compile=True)(PROBABILITIES).numpy()
    for p, r, a, b in zip(PROBABILITIES, right, plain, xla):
        print(f"{function.__name__} of {p:.0e}: right {r:.4f}, plain {a:.4f}, XLA {b:.3f}")
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
