#!/usr/bin/env bash
# scikit-learn's LabelPropagation puts every row that no label reaches into the first class, and its
# probabilities are NaN.
#
# Guess: a row far from all labels gets the class of the nearest label, or equal probabilities, or a
# warning that the fit did not reach it.
# Found: with the default kernel (exp(-20 d^2)) a row 10 away has weights that underflow to 0. fit
# gives it the class 0 with a distribution of zeros, predict gives 0, predict_proba gives NaN with a
# division warning only. Raw pixels (distances of 10 and more) are all of that kind. kernel="knn"
# reaches only rows with a labelled neighbour among n_neighbors: the rest are class 0 too.
# LabelSpreading does the same.
#
# Versions: scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen labels: 0 1 -1 -1 -1
# Seen LabelPropagation: classes 0 1 1 0 0
# Seen LabelPropagation: sums of the distributions 1.0 1.0 1.0 0.0 0.0
# Seen LabelPropagation: a new row at 30: 0 [nan, nan]
# Seen LabelPropagation, knn of 1: classes 0 1 0 0 0
# Seen LabelPropagation, knn of 1: sums of the distributions 1.0 1.0 0.0 0.0 0.0
# Seen LabelPropagation, knn of 1: a new row at 30: 0 [nan, nan]
# Seen LabelSpreading: classes 0 1 1 0 0
# Seen LabelSpreading: sums of the distributions 1.0 1.0 1.0 0.0 0.0
# Seen LabelSpreading: a new row at 30: 0 [nan, nan]
#
# What we do about it: nothing of ours fits it; as a baseline it should be fitted on scaled codes,
# and the rows whose distribution is zero counted before an accuracy is quoted.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

rows = np.array([[0.0], [1.0], [1.1], [10.0], [20.0]])
labels = np.array([0, 1, -1, -1, -1])
print("labels:", *labels)
for name, model in [
    ("LabelPropagation", LabelPropagation()),
    ("LabelPropagation, knn of 1", LabelPropagation(kernel="knn", n_neighbors=1)),
    ("LabelSpreading", LabelSpreading()),
]:
    model.fit(rows, labels)
    print(f"{name}: classes", *model.transduction_)
    print(f"{name}: sums of the distributions", *model.label_distributions_.sum(1).round(3))
    print(f"{name}: a new row at 30:", model.predict([[30.0]])[0],
          model.predict_proba([[30.0]])[0].round(3).tolist())
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
