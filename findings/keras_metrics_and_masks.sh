#!/usr/bin/env bash
# Half of Keras's metrics skip masked rows, the other half count them.
#
# Guess: a prediction that carries a mask (`_keras_mask`, as layers after Masking set it) is scored
# on the rows that the mask keeps, by every metric: all of them go through the same update.
# Found: metrics that are means of a function honour it (accuracy, cross-entropy, MeanSquaredError,
# CosineSimilarity), TruePositives and PearsonCorrelation too; Precision, Recall, AUC, F1Score,
# MeanIoU, RootMeanSquaredError and R2Score count the masked rows. So the root of the mean squared
# error is not the square root of the mean squared error, and Precision does not agree with
# TruePositives. Every one of them honours sample_weight.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen SparseCategoricalAccuracy: the kept rows alone by sample_weight: True, by mask: True
# Seen CategoricalCrossentropy: the kept rows alone by sample_weight: True, by mask: True
# Seen MeanSquaredError: the kept rows alone by sample_weight: True, by mask: True
# Seen CosineSimilarity: the kept rows alone by sample_weight: True, by mask: True
# Seen PearsonCorrelation: the kept rows alone by sample_weight: True, by mask: True
# Seen TruePositives: the kept rows alone by sample_weight: True, by mask: True
# Seen Precision: the kept rows alone by sample_weight: True, by mask: False
# Seen Recall: the kept rows alone by sample_weight: True, by mask: False
# Seen AUC: the kept rows alone by sample_weight: True, by mask: False
# Seen F1Score: the kept rows alone by sample_weight: True, by mask: False
# Seen OneHotMeanIoU: the kept rows alone by sample_weight: True, by mask: False
# Seen RootMeanSquaredError: the kept rows alone by sample_weight: True, by mask: False
# Seen R2Score: the kept rows alone by sample_weight: True, by mask: False
#
# What we do about it: compiled metrics get the rows without labels as masked rows (SSVAE in
# tfssvae/core.py), which the second half would count as class 0: such metrics belong in
# weighted_metrics, or on labelled rows alone.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import keras
import numpy as np
import tensorflow as tf

ROWS = np.array([1, 1, 0, 0, 1, 1], np.float32)  # 0: the row is masked
LABELS = np.array([0, 1, 2, 1, 0, 2])
PREDICTED = np.array(
    [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.8, 0.1, 0.1], [0.9, 0.05, 0.05], [0.6, 0.3, 0.1],
     [0.5, 0.2, 0.3]], np.float32,
)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
METRICS = {
    "SparseCategoricalAccuracy": (keras.metrics.SparseCategoricalAccuracy, LABELS),
    "CategoricalCrossentropy": (keras.metrics.CategoricalCrossentropy, ONE_HOT),
    "MeanSquaredError": (keras.metrics.MeanSquaredError, ONE_HOT),
    "CosineSimilarity": (keras.metrics.CosineSimilarity, ONE_HOT),
    "PearsonCorrelation": (keras.metrics.PearsonCorrelation, ONE_HOT),
    "TruePositives": (keras.metrics.TruePositives, ONE_HOT),
    "Precision": (keras.metrics.Precision, ONE_HOT),
    "Recall": (keras.metrics.Recall, ONE_HOT),
    "AUC": (keras.metrics.AUC, ONE_HOT),
    "F1Score": (keras.metrics.F1Score, ONE_HOT),
    "OneHotMeanIoU": (lambda: keras.metrics.OneHotMeanIoU(3), ONE_HOT),
    "RootMeanSquaredError": (keras.metrics.RootMeanSquaredError, ONE_HOT),
    "R2Score": (keras.metrics.R2Score, ONE_HOT),
}


def score(make, true, predicted, weight=None):
    metric = make()
    metric.update_state(true, predicted, sample_weight=weight)
    return np.asarray(metric.result())


kept = ROWS > 0
masked = tf.constant(PREDICTED)
masked._keras_mask = tf.constant(kept)
for name, (make, true) in METRICS.items():
    right = score(make, true[kept], PREDICTED[kept])
    by_weight = np.allclose(score(make, true, PREDICTED, ROWS), right, atol=1e-6)
    by_mask = np.allclose(score(make, true, masked), right, atol=1e-6)
    print(f"{name}: the kept rows alone by sample_weight: {by_weight}, by mask: {by_mask}")
EOF
export TF_CPP_MIN_LOG_LEVEL=3
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
