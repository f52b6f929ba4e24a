#!/usr/bin/env bash
# scikit-learn: the log loss of the same predictions depends on their data type.
#
# Guess: log_loss clips probabilities at one constant (1e-15, as it did until version 1.3), so a
# confident mistake costs the same in float16, float32 and float64.
# Found: the clip is the machine epsilon of the type: a mistake made with probability 1 costs 6.9
# nats in float16, 15.9 in float32, 36.0 in float64. A model that exports half-precision
# probabilities looks better calibrated than the same model in float64. Probabilities of 1e-20 in
# float64, which are exact, are clipped as well. Right answers are clipped too: at probability
# 0.9995 they cost twice as much in float16.
#
# Versions: scikit-learn 1.9.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen two mistakes, probability 0: float16 6.93, float32 15.9, float64 36
# Seen two mistakes, probability 1e-20: float16 6.93, float32 15.9, float64 36
# Seen two right answers: float16 0.000978, float32 0.000488, float64 0.000488
#
# What we do about it: our log loss cuts at the smallest normal float32 (87.3 nats) whatever the
# type (negative_log_likelihood in tfssvae/evaluation/classification.py); a figure of scikit-learn
# beside it should come from float64.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet scikit-learn==1.9.1 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import numpy as np
from sklearn.metrics import log_loss

wrong = np.array([[1.0, 0.0], [1.0, 0.0]])
tiny = np.array([[1.0, 1e-20], [1.0, 1e-20]])
right = np.array([[0.99951171875, 0.00048828125], [0.00048828125, 0.99951171875]])
for name, rows, labels in [
    ("two mistakes, probability 0", wrong, [1, 1]),
    ("two mistakes, probability 1e-20", tiny, [1, 1]),
    ("two right answers", right, [0, 1]),
]:
    losses = [
        f"{dtype} {float(log_loss(labels, rows.astype(dtype), labels=[0, 1])):.3g}"
        for dtype in ["float16", "float32", "float64"]
    ]
    print(f"{name}:", ", ".join(losses))
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
