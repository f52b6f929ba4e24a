#!/usr/bin/env bash
# Hugging Face datasets: class_encode_column sorts numbers as text, and a ClassLabel takes classes
# that it does not have.
#
# Guess: class_encode_column on the integers 0 to 10 leaves them as they are, and a column of
# ClassLabel holds valid classes or None, however it was made.
# Found: integers are made into text and sorted, so with eleven classes 10 becomes class 2 and 2
# becomes class 3. from_dict refuses class 7 of two but takes -1; cast_column to the same ClassLabel
# takes 7 and -1; the text "-1" becomes -1; int2str(-1) then raises.
#
# Versions: datasets 5.2.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen names: 0 1 10 2 3 4 5 6 7 8 9
# Seen 0 to 10 become: 0 1 3 4 5 6 7 8 9 10 2
# Seen made 1: 1
# Seen made 7: ValueError
# Seen made -1: -1
# Seen made '-1': -1
# Seen made None: None
# Seen cast 1: 1
# Seen cast 7: 7
# Seen cast -1: -1
# Seen cast '-1': -1
# Seen cast None: None
# Seen int2str(-1): Invalid integer class label -1
#
# What we do about it: class indices come from numbers sorted as numbers (tfssvae/class_labels.py),
# and labels outside 0..K-1 other than -1 are refused; a reader of such data sets should check the
# range itself.
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

digits = list(range(11))
encoded = datasets.Dataset.from_dict({"y": digits}).class_encode_column("y")
print("names:", *encoded.features["y"].names)
print("0 to 10 become:", *encoded["y"][:])

two = datasets.ClassLabel(names=["a", "b"])


def made(value):
    return datasets.Dataset.from_dict({"y": [value]}, features=datasets.Features({"y": two}))


def cast(value):
    return datasets.Dataset.from_dict({"y": [value]}).cast_column("y", two)


for make in [made, cast]:
    for value in [1, 7, -1, "-1", None]:
        try:
            print(f"{make.__name__} {value!r}:", make(value)["y"][0])
        except (ValueError, TypeError) as error:
            print(f"{make.__name__} {value!r}: {type(error).__name__}")
try:
    two.int2str(-1)
except ValueError as error:
    print("int2str(-1):", error)
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
