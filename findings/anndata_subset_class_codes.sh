#!/usr/bin/env bash
# AnnData: looking at some of the cells renumbers their classes.
#
# Guess: adata[rows].obs["type"].cat.codes are the codes that the rows have in the whole table;
# categories are only dropped on demand, as in pandas.
# Found: taking a subset, even as a view without a copy, drops the classes that it lacks, and the
# codes close up: class c is 2 in the whole table and 1 in a subset of a and c. pandas keeps 2. So
# codes of a training part and of a test part name different classes when one lacks a class.
# anndata.settings.remove_unused_categories = False keeps them. A test part written to a file and
# read again stays renumbered.
#
# Versions: anndata 0.12.19, scipy 1.17.1, pandas 2.3.3, numpy 2.4.6, Python 3.11, CPU.
#
# Seen whole table: {'a': 0, 'b': 1, 'c': 2}
# Seen pandas, rows 0 and 2: {'a': 0, 'c': 2}
# Seen a view: True
# Seen AnnData, rows 0 and 2: {'a': 0, 'c': 1}
# Seen written and read: {'a': 0, 'c': 1}
# Seen remove_unused_categories=False: {'a': 0, 'c': 2}
#
# What we do about it: class indices should be made from names over the whole data set, once, before
# it is split: never from cat.codes of a part.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet anndata==0.12.19 scipy==1.17.1 pandas==2.3.3 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import anndata
import numpy as np
import pandas as pd

types = pd.DataFrame({"type": pd.Categorical(["a", "b", "c"])}, index=["1", "2", "3"])
cells = anndata.AnnData(np.ones((3, 2), np.float32), obs=types)


def show(name, column):
    print(f"{name}:", dict(zip(column.tolist(), column.cat.codes.tolist())))


show("whole table", cells.obs["type"])
show("pandas, rows 0 and 2", types.iloc[[0, 2]]["type"])
view = cells[[0, 2]]
print("a view:", view.is_view)
show("AnnData, rows 0 and 2", view.obs["type"])
view.copy().write_h5ad("part.h5ad")
show("written and read", anndata.read_h5ad("part.h5ad").obs["type"])
anndata.settings.remove_unused_categories = False
show("remove_unused_categories=False", cells[[0, 2]].obs["type"])
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
