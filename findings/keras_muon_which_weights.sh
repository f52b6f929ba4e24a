#!/usr/bin/env bash
# Keras's Muon: weight_decay=0 leaves a decay, convolutions are left to Adam, and layers are picked
# by parts of their names.
#
# Guess: weight_decay is the decay of all weights; Muon orthogonalises the steps of all kernels,
# convolutions flattened; exclude_layers names layers.
# Found: weight_decay is that of Muon's matrices alone: biases and everything else that Adam moves
# keep adam_weight_decay=0.004. Kernels of convolutions (4 dimensions) are moved by Adam.
# exclude_layers is searched for anywhere in a weight's path: "mean" takes out "demeanour" too, and
# a layer with "embedding" anywhere in its name is taken out unasked. One step of a matrix is 0.2 of
# the learning rate (root mean square), of Adam 1.0; where the gradient has rank 1, as that of one
# row has, it is 0.03 for a matrix of 30x30.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen matrix: 100 steps of decay, weight_decay=0: 1.000
# Seen bias: 100 steps of decay, weight_decay=0: 0.996
# Seen convolution: 100 steps of decay, weight_decay=0: 0.996
# Seen matrix, random: first step, in learning rates: 0.2
# Seen matrix, rank 1: first step, in learning rates: 0.03
# Seen convolution: first step, in learning rates: 1
# Seen exclude_layers=[]: kernels left to Adam: embedding_head
# Seen exclude_layers=['mean']: kernels left to Adam: mean, demeanour, embedding_head
# Seen exclude_layers=['/mean/']: kernels left to Adam: mean, embedding_head
#
# What we do about it: whoever trains with Muon sets both decays, and names heads of means and log
# variances in exclude_layers by a pattern that ends them ("/mean/").
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


def moved(shape, gradient, steps=1, start=0.0, **options):
    variable = keras.Variable(np.full(shape, start, np.float32))
    optimizer = keras.optimizers.Muon(1e-2, **options)
    optimizer.build([variable])
    for _ in range(steps):
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    return variable.numpy()


def size(values):
    return np.sqrt(np.mean(np.square(values))) / 1e-2


for name, shape in [("matrix", (4, 4)), ("bias", (4,)), ("convolution", (3, 3, 4, 4))]:
    kept = moved(shape, np.zeros(shape), steps=100, start=1.0, weight_decay=0.0)
    print(f"{name}: 100 steps of decay, weight_decay=0: {kept.ravel()[0]:.3f}")
draw = np.random.RandomState(0).randn
for name, gradient in [
    ("matrix, random", draw(30, 30)),
    ("matrix, rank 1", np.outer(draw(30), draw(30))),
    ("convolution", draw(3, 3, 4, 4)),
]:
    step = size(moved(gradient.shape, gradient, weight_decay=0.0))
    print(f"{name}: first step, in learning rates: {step:.1g}")
model = keras.Sequential([keras.Input((3,))])
for name in ["hidden", "mean", "demeanour", "embedding_head"]:
    model.add(keras.layers.Dense(4, name=name))
for excluded in [[], ["mean"], ["/mean/"]]:
    optimizer = keras.optimizers.Muon(1e-3, exclude_layers=excluded)
    optimizer.build(model.trainable_variables)
    by_adam = [
        layer.name for layer in model.layers
        if optimizer.adam_velocities[optimizer._get_variable_index(layer.kernel)] is not None
    ]
    print(f"exclude_layers={excluded}: kernels left to Adam: {', '.join(by_adam)}")
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
