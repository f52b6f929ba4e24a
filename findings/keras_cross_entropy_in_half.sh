#!/usr/bin/env bash
# Keras's losses of probabilities are cut on one side only in half precision: a confident wrong "1"
# costs infinity, a confident wrong "0" 16.
#
# Guess: the losses clip probabilities to [1e-7, 1 - 1e-7] in every precision, so both mistakes cost
# the same, at most 16.1.
# Found: in float16 and bfloat16 1 - 1e-7 is 1, so the upper clip does nothing: binary_crossentropy
# of target 0 and probability 1 is infinite, of target 1 and probability 0 it is 16. kl_divergence
# is infinite in float16, where 1 / 1e-7 overflows, and 16 in bfloat16. From logits all are exact.
# float32 costs 16.1 and 15.9.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen float16: binary, wrong 0: 15.9, wrong 1: inf, wrong 1 from a logit of 30: 30
# Seen float16: kl_divergence inf, categorical_crossentropy 15.9
# Seen bfloat16: binary, wrong 0: 16.1, wrong 1: inf, wrong 1 from a logit of 30: 30
# Seen bfloat16: kl_divergence 16.1, categorical_crossentropy 16.1
# Seen float32: binary, wrong 0: 16.1, wrong 1: 15.9, wrong 1 from a logit of 30: 30
# Seen float32: kl_divergence 16.1, categorical_crossentropy 16.1
#
# What we do about it: our losses are taken from logits in float32 under every precision; a user's
# loss of probabilities should cast first.
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


def cost(loss, target, predicted, dtype, **options):
    true, guess = tf.constant([target], dtype), tf.constant([predicted], dtype)
    return f"{float(loss(true, guess, **options)[0]):.3g}"


for dtype in ["float16", "bfloat16", "float32"]:
    binary = keras.losses.binary_crossentropy
    print(
        f"{dtype}: binary, wrong 0: {cost(binary, [1.0], [0.0], dtype)},"
        f" wrong 1: {cost(binary, [0.0], [1.0], dtype)},"
        f" wrong 1 from a logit of 30: {cost(binary, [0.0], [30.0], dtype, from_logits=True)}"
    )
    divergence = cost(keras.losses.kl_divergence, [0.0, 1.0], [1.0, 0.0], dtype)
    entropy = cost(keras.losses.categorical_crossentropy, [0.0, 1.0], [1.0, 0.0], dtype)
    print(f"{dtype}: kl_divergence {divergence}, categorical_crossentropy {entropy}")
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
