#!/usr/bin/env bash
# tf.summary.image writes pixels of 0 to 255 as black if they are int32 or int64, and as white if
# they are floats.
#
# Guess: integers are taken as they are, as Matplotlib and Pillow take them, or refused unless they
# are uint8.
# Found: every type is scaled by its own largest value: 255 of int32 or int64 is black, 255 of
# uint16 is 0, 65535 is white; floats are taken as 0 to 1 and cut, so of 255.0 and 1.0 both are
# white; NaN is black. Nothing warns. uint8 is right.
#
# Versions: tensorflow 2.21.0, tensorboard 2.21.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen uint8 [0, 1, 128, 255]: [0, 1, 128, 255]
# Seen uint16 [0, 128, 255, 65535]: [0, 0, 0, 255]
# Seen int32 [0, 1, 128, 255]: [0, 0, 0, 0]
# Seen int64 [0, 1, 128, 255]: [0, 0, 0, 0]
# Seen float32 [0.0, 1.0, 128.0, 255.0]: [0, 255, 255, 255]
# Seen float32 [0.0, 0.5, 1.0, nan]: [0, 127, 255, 0]
#
# What we do about it: images that users pass in are checked to be uint8 or floats in 0..1
# (tfssvae/checks.py) before any is written.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 tensorboard==2.21.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def written(name, pixels):
    writer = tf.summary.create_file_writer(name)
    with writer.as_default():
        tf.summary.image("x", pixels.reshape(1, 1, -1, 1), step=0)
    writer.close()
    events = EventAccumulator(name)
    events.Reload()
    content = tf.make_ndarray(events.Tensors("x")[0].tensor_proto)[2]
    return tf.io.decode_png(content).numpy().ravel().tolist()


for number, (dtype, values) in enumerate([
    ("uint8", [0, 1, 128, 255]), ("uint16", [0, 128, 255, 65535]), ("int32", [0, 1, 128, 255]),
    ("int64", [0, 1, 128, 255]), ("float32", [0.0, 1.0, 128.0, 255.0]),
    ("float32", [0.0, 0.5, 1.0, np.nan]),
]):
    found = written(f"run{number}", np.array(values, dtype))
    print(f"{dtype} {values}: {found}")
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
