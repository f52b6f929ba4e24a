#!/usr/bin/env bash
# TensorFlow Probability's negative binomial in float32: the log probability is right, its gradient
# by the dispersion is not.
#
# Guess: where NegativeBinomial.log_prob is right to six digits, so is its gradient by total_count.
# Found: the value is computed from a careful lbeta, the gradient from a difference of digammas,
# which cancels. At total_count 1e8 (nearly Poisson) it has the wrong sign and six times the size,
# at 1e-8 and a count of 0 it is exactly 0 where -3.05 is right, at 1e-6 the second digit is wrong.
# The gradient by the logits is right everywhere. A learned dispersion that has gone far out is
# pushed on, or stands still, while the loss looks sound.
#
# Versions: tensorflow 2.21.0, tensorflow-probability[tf] 0.25.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen total_count 1e-08, logits 3, count 0
# Seen   float32: log prob -3.05e-08, by total_count 0, by logits -9.53e-09
# Seen   float64: log prob -3.05e-08, by total_count -3, by logits -9.53e-09
# Seen total_count 1e-06, logits 3, count 0
# Seen   float32: log prob -3.05e-06, by total_count -3.1, by logits -9.53e-07
# Seen   float64: log prob -3.05e-06, by total_count -3, by logits -9.53e-07
# Seen total_count 0.001, logits 3, count 0
# Seen   float32: log prob -0.00305, by total_count -3, by logits -0.000953
# Seen   float64: log prob -0.00305, by total_count -3, by logits -0.000953
# Seen total_count 10, logits 0, count 5
# Seen   float32: log prob -2.8, by total_count -0.27, by logits -2.5
# Seen   float64: log prob -2.8, by total_count -0.27, by logits -2.5
# Seen total_count 10000, logits -8, count 5
# Seen   float32: log prob -2.09, by total_count 0.00016, by logits 1.64
# Seen   float64: log prob -2.09, by total_count 0.00016, by logits 1.64
# Seen total_count 1e+06, logits -13, count 5
# Seen   float32: log prob -2.97, by total_count 2.5e-06, by logits 2.74
# Seen   float64: log prob -2.97, by total_count 2.7e-06, by logits 2.74
# Seen total_count 1e+08, logits -17, count 5
# Seen   float32: log prob -1.82, by total_count -5.1e-08, by logits 0.86
# Seen   float64: log prob -1.82, by total_count 8.6e-09, by logits 0.86
#
# What we do about it: a likelihood of counts should keep its dispersion where the float32 gradient
# is right (about 1e-3 to 1e4), or compute it in float64.
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
import tensorflow as tf
import tensorflow_probability as tfp


def value_and_gradients(total_count, logits, count, dtype):
    r, b = tf.constant(total_count, dtype), tf.constant(logits, dtype)
    with tf.GradientTape() as tape:
        tape.watch([r, b])
        value = tfp.distributions.NegativeBinomial(r, logits=b).log_prob(tf.constant(count, dtype))
    return [float(n) for n in [value, *tape.gradient(value, [r, b])]]


for total_count, logits, count in [
    (1e-8, 3.0, 0.0), (1e-6, 3.0, 0.0), (1e-3, 3.0, 0.0), (10.0, 0.0, 5.0), (1e4, -8.0, 5.0),
    (1e6, -13.0, 5.0), (1e8, -17.0, 5.0),
]:
    print(f"total_count {total_count:g}, logits {logits:g}, count {count:g}")
    for dtype in ["float32", "float64"]:
        value, by_r, by_b = value_and_gradients(total_count, logits, count, dtype)
        print(f"  {dtype}: log prob {value:.3g}, by total_count {by_r:.2g}, by logits {by_b:.3g}")
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
