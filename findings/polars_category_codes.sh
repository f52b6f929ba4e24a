#!/usr/bin/env bash
# The codes of a polars Categorical belong to the process, not to the column.
#
# Guess: pl.Series(["cat", "dog"], dtype=pl.Categorical).to_physical() is 0, 1 wherever it runs:
# codes count from 0 in the order of appearance among its values, as pandas counts the sorted ones.
# Found: all Categorical columns of a process share one table of strings. The same two rows give 0,
# 1 in a fresh process and 2, 1 after another frame was read, so a class index taken from the codes
# depends on what the program read before, and the largest code plus one is not the number of
# classes. Enum, with its classes named, gives the same codes always.
#
# Versions: polars 2.1.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen codes of bird, dog in a fresh process: [0, 1]
# Seen codes of cat, dog after that: [2, 1]
# Seen largest code + 1: 3
# Seen codes as an Enum: [0, 1]
# Seen codes with one missing, to numpy: [ 0. nan  1.] float32
#
# What we do about it: labels are turned into class indices by the sorted names of their classes
# (tfssvae/class_labels.py), never by codes; a reader of frames should cast to pl.Enum(sorted names)
# first.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet polars==2.1.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import polars as pl

animals = ["cat", "dog"]


def codes(dtype):
    return pl.Series(animals, dtype=dtype).to_physical().to_list()


earlier = pl.Series(["bird", "dog"], dtype=pl.Categorical)
print("codes of bird, dog in a fresh process:", earlier.to_physical().to_list())
print("codes of cat, dog after that:", codes(pl.Categorical))
print("largest code + 1:", max(codes(pl.Categorical)) + 1)
print("codes as an Enum:", codes(pl.Enum(animals)))
missing = pl.Series(["cat", None, "dog"], dtype=pl.Enum(animals)).to_physical()
print("codes with one missing, to numpy:", missing.to_numpy(), missing.to_numpy().dtype)
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
