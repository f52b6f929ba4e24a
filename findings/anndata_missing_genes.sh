#!/usr/bin/env bash
# AnnData: a gene that one of two joined tables lacks is NaN if the matrices are dense and a count
# of 0 if they are sparse.
#
# Guess: concat(join="outer") fills what is missing the same way, whatever the storage; counts that
# were never measured are marked.
# Found: dense matrices get NaN (and uint16 becomes float64), sparse ones get nothing, which reads
# as 0. One dense and one sparse table give sparse zeros. A likelihood of counts takes the zeros as
# measured. fill_value sets either.
#
# Versions: anndata 0.12.19, scipy 1.17.1, pandas 2.3.3, numpy 2.4.6, Python 3.11, CPU.
#
# Seen sparse False with sparse False: [[1.0, 1.0, nan], [nan, 1.0, 1.0]], float64, sparse: False
# Seen sparse True with sparse True: [[1, 1, 0], [0, 1, 1]], uint16, sparse: True
# Seen sparse False with sparse True: [[1, 1, 0], [0, 1, 1]], uint16, sparse: True
# Seen sparse, fill_value=nan: [[1.0, 1.0, nan], [nan, 1.0, 1.0]], float64, sparse: True
#
# What we do about it: arrays with NaN are refused (tfssvae/checks.py); zeros cannot be told from
# measured ones, so tables should be joined with join="inner", or with fill_value named, before they
# reach a model.
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
import scipy.sparse


def table(genes, sparse):
    counts = np.ones((1, len(genes)), np.uint16)
    names = pd.DataFrame(index=genes)
    return anndata.AnnData(scipy.sparse.csr_matrix(counts) if sparse else counts, var=names)


def show(name, matrix):
    rows = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
    print(f"{name}: {rows.tolist()}, {matrix.dtype}, sparse: {scipy.sparse.issparse(matrix)}")


for first, second in [(False, False), (True, True), (False, True)]:
    joined = anndata.concat(
        [table(["g1", "g2"], first), table(["g2", "g3"], second)], join="outer", index_unique="-"
    )
    show(f"sparse {first} with sparse {second}", joined.X)
tables = [table(["g1", "g2"], True), table(["g2", "g3"], True)]
show("sparse, fill_value=nan", anndata.concat(
    [t for t in tables], join="outer", fill_value=np.nan, index_unique="-").X)
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
