#!/usr/bin/env bash
# scANVI (scvi-tools): the bound of a labelled cell does not see its label.
#
# Guess: as in M1+M2, on which it builds, a cell with a label is encoded and decoded with that
# label, and only cells without one are averaged over the classes.
# Found: every cell, labelled or not, is averaged over the classes by the classifier's own
# probabilities; permuting all labels leaves the loss as it is to the last digit while
# classification_ratio is 0. Labels enter through a cross-entropy alone: the mean over a batch of
# labelled cells, times classification_ratio (50), beside a bound that is a mean over all cells.
# Labelled cells are in both: in the batches of all cells and in batches of their own, which start
# again when they run out, so few labels are seen many times an epoch.
#
# Versions: scvi-tools 1.4.2, torch 2.13.0, anndata 0.12.19, Python 3.11, CPU.
#
# Seen ratio 0, other labels give the same loss: True
# Seen ratio 50, other labels give the same loss: False
# Seen ratio 50, other labels in the batch of all cells only: True
# Seen a batch of all: 30 cells, 30 with labels; beside it: 30 with labels
# Seen a batch of all: 30 cells, 30 with labels; beside it: 30 with labels
# Seen a batch of all: 30 cells, 0 with labels; beside it: 30 with labels
#
# What we do about it: our m1m2 has the labelled bound of the paper; a comparison with scANVI should
# say that it lacks it, and that its ratio weighs a mean over labelled cells.
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
import itertools
import logging

import numpy as np
import pandas as pd
import torch

logging.disable(logging.WARNING)
import anndata  # noqa: E402
import scvi  # noqa: E402

counts = np.random.RandomState(0).poisson(2.0, (90, 6)).astype(np.float32)
names = np.array(["a", "b", "c"] * 30, object)
names[60:] = "unlabelled"
cells = anndata.AnnData(counts, obs=pd.DataFrame({"type": names}, index=map(str, range(90))))
scvi.settings.seed = 0
scvi.model.SCANVI.setup_anndata(cells, labels_key="type", unlabeled_category="unlabelled")
model = scvi.model.SCANVI(cells, n_latent=2, n_hidden=8)
model.module.eval()
[batch] = model._make_data_loader(cells, batch_size=90)
labelled = {key: value[:60] for key, value in batch.items() if value is not None}
other = {**batch, "labels": (batch["labels"] + 1) % 3}
wrong = {**labelled, "labels": (labelled["labels"] + 1) % 3}


def loss(tensors, labelled, ratio):
    torch.manual_seed(0)
    options = {"labelled_tensors": labelled, "classification_ratio": ratio}
    return float(model.module(tensors, loss_kwargs=options)[2].loss.detach())


print("ratio 0, other labels give the same loss:",
      loss(batch, labelled, 0) == loss(other, wrong, 0))
print("ratio 50, other labels give the same loss:",
      loss(batch, labelled, 50) == loss(other, wrong, 50))
print("ratio 50, other labels in the batch of all cells only:",
      loss(batch, labelled, 50) == loss(other, labelled, 50))
from scvi.dataloaders import SemiSupervisedDataLoader  # noqa: E402

loader = SemiSupervisedDataLoader(model.adata_manager, batch_size=30)
for every, own in itertools.islice(loader, len(loader)):
    print("a batch of all:", len(every["labels"]), "cells,", int((every["labels"] < 3).sum()),
          "with labels; beside it:", len(own["labels"]), "with labels")
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
