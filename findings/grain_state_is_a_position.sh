#!/usr/bin/env bash
# grain: the saved state of an iterator is a position only; another seed, another batch size or
# another data set takes it without a word.
#
# Guess: set_state refuses a state that another pipeline saved, or the state carries the seed so
# that reading goes on as it was.
# Found: the state of a shuffled MapDataset is {"next_index": 3}. Restored into a pipeline with
# another seed it goes on at the fourth place of another order (rows come twice, others never), with
# another batch size it counts the rows of the old one, and with 20 rows it goes on among those;
# only a position past the end is refused.
#
# Versions: grain 0.2.18, numpy 2.4.6, Python 3.11, CPU.
#
# Seen read: [0, 4, 6] state: {'next_index': 3}
# Seen goes on: [7, 8, 3, 1, 9, 5, 2]
# Seen goes on with seed 1: [0, 4, 8, 9, 2, 1, 3]
# Seen goes on with 20 rows: [19, 8, 18, 14, 9, 5, 12]
# Seen state after one batch of 4: {'next_index': 4}
# Seen goes on in batches of 4: [[8, 3, 1, 9]] and of 2: [[8, 3]]
#
# What we do about it: our rows of a step are a function of (seed, step), so no iterator is saved; a
# pipeline by grain should store its seed and batch size beside the state and compare them.
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


def pipeline(rows=10, seed=0, batch=None):
    data = grain.MapDataset.range(rows).shuffle(seed=seed).to_iter_dataset()
    return iter(data.batch(batch) if batch else data)


def take(iterator, count=3):
    found = []
    for _ in range(count):
        value = next(iterator, None)
        found.append(value.tolist() if hasattr(value, "tolist") else value)
    return found


first = pipeline()
read = take(first)
state = first.get_state()
print("read:", read, "state:", state)
print("goes on:", take(first, 7))
for name, options in [("seed 1", {"seed": 1}), ("20 rows", {"rows": 20})]:
    other = pipeline(**options)
    other.set_state(state)
    print(f"goes on with {name}:", take(other, 7))
batched = pipeline(batch=4)
take(batched, 1)
state = batched.get_state()
print("state after one batch of 4:", state)
other = pipeline(batch=2)
other.set_state(state)
print("goes on in batches of 4:", take(batched, 1), "and of 2:", take(other, 1))
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
