#!/usr/bin/env bash
# tensorflow-datasets: a feature of float64 comes back as float64 with the digits of float32; a
# class of 1.7 is class 1.
#
# Guess: a Scalar or Tensor of float64 is stored without loss, since its type is declared and given
# back; ClassLabel refuses what is no integer.
# Found: the record's list of floats holds float32, so 0.1 comes back as 0.10000000149011612 of type
# float64, and a row id of 16777217 as 16777216. encoding="bytes" keeps all digits. An integer
# feature cuts 1.7 to 1, ClassLabel too; True is class 1; -1 is taken as no label, -2 and the text
# "-1" are refused.
#
# Versions: tensorflow 2.21.0, tensorflow-datasets 4.9.10, importlib_resources 7.1.0, numpy 2.4.6,
# Python 3.11, CPU.
#
# Seen float64 0.1: 0.10000000149011612 of float64
# Seen float64 16777217.0: 16777216.0 of float64
# Seen float64, bytes array([0.1]): 0.1 of float64
# Seen int64 1.7: 1 of int64
# Seen ClassLabel of 3 1.7: 1 of int64
# Seen ClassLabel of 3 True: 1 of int64
# Seen ClassLabel of 3 -1: -1 of int64
# Seen ClassLabel of 3 -2: ValueError
# Seen ClassLabel of 3 '-1': ValueError
#
# What we do about it: ids and times belong in int64 features, or in float64 with encoding="bytes";
# labels are compared with their integers before they are written.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 tensorflow-datasets==4.9.10 \
    importlib_resources==7.1.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
import tensorflow_datasets as tfds


def stored(feature, value):
    features = tfds.features.FeaturesDict({"x": feature})
    example = features.serialize_example({"x": value})
    return tfds.as_numpy(features.deserialize_example(example))["x"]


def show(name, feature, value):
    try:
        found = stored(feature, value)
        print(f"{name} {value!r}: {found.item()!r} of {found.dtype}")
    except (ValueError, TypeError) as error:
        print(f"{name} {value!r}: {type(error).__name__}")


tensor = tfds.features.Tensor
show("float64", tensor(shape=(), dtype=np.float64), 0.1)
show("float64", tensor(shape=(), dtype=np.float64), 16777217.0)
show("float64, bytes", tensor(shape=(1,), dtype=np.float64, encoding="bytes"), np.array([0.1]))
show("int64", tensor(shape=(), dtype=np.int64), 1.7)
for value in [1.7, True, -1, -2, "-1"]:
    show("ClassLabel of 3", tfds.features.ClassLabel(num_classes=3), value)
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
