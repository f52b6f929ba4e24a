#!/usr/bin/env bash
# aeon reads a missing label of a .ts file as a class, named "NaN", or as whatever fills the gaps in
# the series.
#
# Guess: "?" in the place of the label is a missing label (None, NaN or an error), since "?" marks
# what is missing in the format.
# Found: the reader puts the filler of missing values in place of every "?" of a line, label
# included. The label becomes the text "NaN", a class like others; with
# replace_missing_vals_with="0" it becomes "0", which is a class of the file. A label that is not in
# the header is taken, labels lose their capitals. A file without labels gives empty texts, one
# class named "", if its lines end in a colon, as aeon writes them; without the colon each series is
# read as its label, and the array of series is empty. The labels of classes 2, 9 and 10 are text,
# so np.unique puts 10 first.
#
# Versions: aeon 1.6.0, scikit-learn 1.9.1, numpy 2.3.5, Python 3.11, CPU.
#
# Seen label ?: (['0', '1', 'NaN'], (3, 1, 3))
# Seen label ?, gaps filled with 0: (['0', '1', '0'], (3, 1, 3))
# Seen label 7 of classes 0 and 1: (['0', '7'], (2, 1, 3))
# Seen label Cat: (['cat', 'dog'], (2, 1, 3))
# Seen no labels, colon: (['', ''], (2, 1, 3))
# Seen no labels, no colon: (['1,2,3', '4,5,6'], (2, 0, 3))
# Seen classes of 2, 9, 10: ['10', '2', '9']
#
# What we do about it: a reader of .ts files should map "NaN" and "" to -1 before it looks for
# classes, leave replace_missing_vals_with alone, and sort classes that are numbers as numbers.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet aeon==1.6.0 scikit-learn==1.9.1 numpy==2.3.5
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
from aeon.datasets import load_from_ts_file

HEADER = (
    "@problemName p\n@timestamps false\n@missing true\n@univariate true\n@equalLength true\n"
)


def read(header, lines, **options):
    with open("p.ts", "w") as file:
        file.write(HEADER + header + "\n@data\n" + "\n".join(lines) + "\n")
    found = load_from_ts_file("p.ts", **options)
    return [str(label) for label in found[1]], found[0].shape


classes = "@classLabel true 0 1"
print("label ?:", read(classes, ["1,2,3:0", "4,?,6:1", "7,8,9:?"]))
print("label ?, gaps filled with 0:",
      read(classes, ["1,2,3:0", "4,?,6:1", "7,8,9:?"], replace_missing_vals_with="0"))
print("label 7 of classes 0 and 1:", read(classes, ["1,2,3:0", "4,5,6:7"]))
print("label Cat:", read("@classLabel true Cat Dog", ["1,2,3:Cat", "4,5,6:Dog"]))
print("no labels, colon:", read("@targetlabel false", ["1,2,3:", "4,5,6:"]))
print("no labels, no colon:", read("@targetlabel false", ["1,2,3", "4,5,6"]))
print("classes of 2, 9, 10:", np.unique(
    read("@classLabel true 2 9 10", ["1,2,3:2", "4,5,6:9", "7,8,9:10"])[0]).tolist())
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
