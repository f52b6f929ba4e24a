#!/usr/bin/env bash
# grain: a map that returns None for a missing label drops the row.
#
# Guess: MapDataset.map gives one element per element; None is a value like any other, as in a
# Python list.
# Found: None means "filtered out". A map from row to label loses every row whose label is None,
# len() still counts them, and by index they are None. So labels and images, mapped apart and read
# in step, slip against each other from the first missing label on. Inside a dict the None stays,
# and a batch of it is an array of objects; -1 stays too.
#
# Versions: grain 0.2.18, numpy 2.4.6, Python 3.11, CPU.
#
# Seen length: 4
# Seen by index: [2, None, 0, 1]
# Seen read in turn: [2, 0, 1]
# Seen zipped with the rows: [(0, 2), (1, 0), (2, 1)]
# Seen in a dict, in a batch: [2, None, 0, 1] object
# Seen marked by -1: [2, -1, 0, 1]
#
# What we do about it: a reader by grain should write missing labels as -1 in its first step and
# keep row and label in one record.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet grain==0.2.18 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import grain.python as grain

labels = [2, None, 0, 1]
rows = grain.MapDataset.range(4)
found = rows.map(lambda row: labels[row])
print("length:", len(found))
print("by index:", [found[row] for row in range(4)])
print("read in turn:", list(found))
print("zipped with the rows:", list(zip(rows, found)))
pairs = rows.map(lambda row: {"row": row, "label": labels[row]})
batch = pairs.batch(4)[0]
print("in a dict, in a batch:", batch["label"].tolist(), batch["label"].dtype)
marked = rows.map(lambda row: -1 if labels[row] is None else labels[row])
print("marked by -1:", list(marked))
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
