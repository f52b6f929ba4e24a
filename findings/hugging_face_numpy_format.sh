#!/usr/bin/env bash
# Hugging Face datasets: one missing label turns a column of int64 into float32, and the numpy
# format changes other types as well.
#
# Guess: with_format("numpy") gives the type of the column (int64, uint16, float64), and a missing
# value makes int64 a float64, as in pandas, polars and pyarrow.
# Found: a column of int64 with a None becomes float32, so an index of 16777217 comes back as
# 16777216; without the None it is int64. uint16 becomes int64, float64 becomes float32 (the file
# keeps both), and a bool with a None becomes objects.
#
# Versions: datasets 5.2.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen index: int64 in the file, int64 as an array, first 16777217
# Seen index, one missing: int64 in the file, float32 as an array, first 16777216
# Seen uint16: uint16 in the file, int64 as an array, first 1
# Seen float64: float64 in the file, float32 as an array, first 0.10000000149011612
# Seen flag, one missing: bool in the file, object as an array, first True
# Seen the missing index through pyarrow: float64 16777217
#
# What we do about it: labels from such a data set should be read with missing rows marked first
# (fill -1 as integers), and row ids kept out of columns with missing values.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet datasets==5.2.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import datasets
import numpy as np

columns = {
    "index": [16777217, 3],
    "index, one missing": [16777217, None],
    "uint16": np.array([1, 65535], np.uint16),
    "float64": np.array([0.1, 0.2]),
    "flag, one missing": [True, None],
}
data = datasets.Dataset.from_dict(columns)
arrays = data.with_format("numpy")[:]
for name, feature in data.features.items():
    values = arrays[name]
    first = f"{int(values[0])}" if "index" in name else values[0]
    print(f"{name}: {feature.dtype} in the file, {values.dtype} as an array, first {first}")
table = data.data.table["index, one missing"].to_numpy()
print("the missing index through pyarrow:", table.dtype, int(table[0]))
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
