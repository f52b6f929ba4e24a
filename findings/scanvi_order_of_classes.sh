#!/usr/bin/env bash
# scANVI (scvi-tools): the columns of soft predictions are not in the order of the class names, and
# the order depends on what the unlabelled are called.
#
# Guess: predict(soft=True) has one column per class, sorted by name, as scikit-learn and pandas
# have them.
# Found: the names and the name of the unlabelled category are sorted together; then the unlabelled
# one changes places with the last. "Unknown" sorts before "a", so classes a, b, c come as c, a, b
# (capitals A, B, C in order); with "unlabelled", which sorts last, they come as a, b, c. Columns
# carry names, so a frame is right and its bare array is read wrongly.
#
# Versions: scvi-tools 1.4.2, torch 2.13.0, anndata 0.12.19, Python 3.11, CPU.
#
# Seen classes ['a', 'b', 'c'], unlabelled 'Unknown': columns ['c', 'a', 'b']
# Seen classes ['A', 'B', 'C'], unlabelled 'Unknown': columns ['A', 'B', 'C']
# Seen classes ['a', 'b', 'c'], unlabelled 'unlabelled': columns ['a', 'b', 'c']
# Seen classes ['A', 'B', 'C'], unlabelled 'unlabelled': columns ['A', 'B', 'C']
#
# What we do about it: our probabilities are in the order of the sorted classes; a comparison with
# scANVI should reindex its columns by name.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet scvi-tools==1.4.2 torch==2.13.0 anndata==0.12.19
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import logging

import numpy as np
import pandas as pd

logging.disable(logging.WARNING)
import anndata  # noqa: E402
import scvi  # noqa: E402

counts = np.random.RandomState(0).poisson(2.0, (90, 6)).astype(np.float32)
for unlabelled in ["Unknown", "unlabelled"]:
    for classes in [["a", "b", "c"], ["A", "B", "C"]]:
        names = np.array(classes * 30, object)
        names[45:] = unlabelled
        types = pd.DataFrame({"type": names}, index=map(str, range(90)))
        cells = anndata.AnnData(counts, obs=types)
        scvi.model.SCANVI.setup_anndata(cells, labels_key="type", unlabeled_category=unlabelled)
        model = scvi.model.SCANVI(cells, n_latent=2, n_hidden=8)
        model.is_trained_ = True
        soft = model.predict(soft=True)
        print(f"classes {classes}, unlabelled {unlabelled!r}: columns {soft.columns.tolist()}")
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
