#!/usr/bin/env bash
# PyTorch's and scvi-tools' negative binomials in float32 give probabilities above 1 where they are
# nearly Poisson, and scvi-tools samples no count above 1e8.
#
# Guess: log_prob is right to a few digits for any dispersion, or NaN; a log probability of a count
# is never positive. Samples have the mean that they were asked for.
# Found: both subtract log gammas of size theta log(theta). At a dispersion of 1e8 PyTorch gives log
# prob +38.9 where -1.74 is right, and -2.03 at 1e6. scvi-tools gives -1.79 at 1e6 and -4.79 at 1e8,
# and its probabilities of the counts below 20,000 add up to far more than 1 (mu 5, theta 1e8).
# TensorFlow Probability's value is right there. scvi-tools cuts the rate of its samples at 1e8:
# mean 1e10 gives 1e8.
#
# Versions: torch 2.13.0, scvi-tools 1.4.2, scipy 1.17.1, Python 3.11, CPU.
#
# Seen dispersion 1e+02, float32: right -1.76, torch -1.76, scvi -1.76
# Seen dispersion 1e+02, float64: right -1.76, torch -1.76, scvi -1.76
# Seen dispersion 1e+04, float32: right -1.74, torch -1.74, scvi -1.74
# Seen dispersion 1e+04, float64: right -1.74, torch -1.74, scvi -1.74
# Seen dispersion 1e+06, float32: right -1.74, torch -2.03, scvi -1.79
# Seen dispersion 1e+06, float64: right -1.74, torch -1.74, scvi -1.74
# Seen dispersion 1e+08, float32: right -1.74, torch 38.94, scvi -4.79
# Seen dispersion 1e+08, float64: right -1.74, torch -1.74, scvi -1.74
# Seen scvi, theta 1e+02: probabilities add up to more than 1.01: False
# Seen scvi, theta 1e+08: probabilities add up to more than 1.01: True
# Seen scvi, mean 1e+07: samples have 1.0e+07
# Seen scvi, mean 1e+10: samples have 1.0e+08
#
# What we do about it: a likelihood of counts is to be tested against SciPy over dispersions of 1e-8
# to 1e8, and compared with these libraries in float64.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet torch==2.13.0 scvi-tools==1.4.2 scipy==1.17.1
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import logging
import math

import scipy.stats
import torch

logging.disable(logging.WARNING)
import scvi.distributions as scvi  # noqa: E402

COUNT = 5.0
for dispersion, mean in [(1e2, 5.0), (1e4, 5.0), (1e6, 5.0), (1e8, 5.0)]:
    right = scipy.stats.nbinom(dispersion, dispersion / (dispersion + mean)).logpmf(COUNT)
    logits = math.log(mean / dispersion)
    for dtype in [torch.float32, torch.float64]:
        r, m, x = (torch.tensor(v, dtype=dtype) for v in [dispersion, mean, COUNT])
        by_torch = torch.distributions.NegativeBinomial(
            r, logits=torch.tensor(logits, dtype=dtype)
        ).log_prob(x)
        by_scvi = scvi.NegativeBinomial(mu=m, theta=r).log_prob(x)
        print(f"dispersion {dispersion:.0e}, {str(dtype)[6:]}: right {right:.2f}, "
              f"torch {by_torch:.2f}, scvi {by_scvi:.2f}")
for theta in [1e2, 1e8]:
    counts = torch.arange(0, 20000.0)
    law = scvi.NegativeBinomial(mu=torch.tensor(5.0), theta=torch.tensor(theta))
    total = float(law.log_prob(counts).double().exp().sum())
    print(f"scvi, theta {theta:.0e}: probabilities add up to more than 1.01: {total > 1.01}")
torch.manual_seed(0)
for mean in [1e7, 1e10]:
    law = scvi.NegativeBinomial(mu=torch.tensor(mean), theta=torch.tensor(1e3))
    print(f"scvi, mean {mean:.0e}: samples have {float(law.sample((20000,)).double().mean()):.1e}")
EOF
"$python" -W ignore finding.py 2> errors.txt | tee seen.txt || {
  cat errors.txt
  exit 1
}
grep '^# Seen ' "$script" | cut -c 8- | diff - seen.txt || {
  echo "The output is no longer that of the lines '# Seen'."
  exit 1
}
