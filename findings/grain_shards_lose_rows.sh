#!/usr/bin/env bash
# grain: a DataLoader whose rows do not divide among the shards loses rows though none should be
# dropped, and its shuffle is not global.
#
# Guess: ShardOptions(..., drop_remainder=False) sees to it that every record is read by some shard,
# once an epoch, and IndexSampler(shuffle=True) mixes all records ("Whether to globally shuffle the
# dataset").
# Found: ten records on three shards: each reads three, record 3 (in order) or one other of the
# first shard (shuffled) is read by none; eleven on four: three are lost. Over two epochs the same
# shard gives six of its four records twice. The shuffle stays within each shard's own run of
# records, so sorted classes stay apart. Slicing a MapDataset (ds[shard::count]) loses nothing, and
# shuffling before slicing mixes all.
#
# Versions: grain 0.2.18, numpy 2.4.6, Python 3.11, CPU.
#
# Seen 10 on 3, shuffled False: [[0, 1, 2], [4, 5, 6], [7, 8, 9]], lost 1
# Seen 10 on 3, shuffled True: [[0, 3, 1], [4, 6, 5], [7, 9, 8]], lost 1
# Seen 11 on 4, shuffled False: [[0, 1], [3, 4], [6, 7], [9, 10]], lost 3
# Seen 11 on 4, shuffled True: [[0, 2], [3, 5], [6, 8], [9, 10]], lost 3
# Seen 3 on 2, shuffled False: [[0], [2]], lost 1
# Seen 3 on 2, shuffled True: [[0], [2]], lost 1
# Seen 10 on 3, two epochs: [[0, 1, 2, 3, 0, 1], [4, 5, 6, 4, 5, 6], [7, 8, 9, 7, 8, 9]]
# Seen slices: [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
# Seen shuffled, then sliced: [[0, 7, 1, 2], [4, 8, 9], [6, 3, 5]]
#
# What we do about it: our rows of a step are drawn from (seed, step) by the driver itself; a
# pipeline by grain should be a MapDataset, shuffled, then sliced.
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


def read(records, shards, shuffle, epochs=1):
    found = []
    for shard in range(shards):
        sampler = grain.IndexSampler(
            records, shard_options=grain.ShardOptions(shard, shards, drop_remainder=False),
            shuffle=shuffle, num_epochs=epochs, seed=0,
        )
        source = grain.RangeDataSource(0, records, 1)
        loader = grain.DataLoader(data_source=source, sampler=sampler)
        found.append([int(record) for record in loader])
    return found


for records, shards in [(10, 3), (11, 4), (3, 2)]:
    for shuffle in [False, True]:
        found = read(records, shards, shuffle)
        lost = set(range(records)) - {record for shard in found for record in shard}
        print(f"{records} on {shards}, shuffled {shuffle}: {found}, lost {len(lost)}")
print("10 on 3, two epochs:", read(10, 3, False, epochs=2))
data = grain.MapDataset.range(10)
print("slices:", [[int(record) for record in data[shard::3]] for shard in range(3)])
mixed = data.shuffle(seed=0)
print("shuffled, then sliced:", [[int(record) for record in mixed[shard::3]] for shard in range(3)])
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
