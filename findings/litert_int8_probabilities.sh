#!/usr/bin/env bash
# A decoder quantised to int8 gives probabilities of exactly 0 and none above 0.996.
#
# Guess: the output's scale comes from the representative data, so probabilities between 0.001 and
# 0.9999 are kept to about 0.4%, both ends alike.
# Found: LiteRT fixes the scale of a sigmoid at 1/256 from 0, whatever the data: all below 0.002 is
# 0 and all above 0.994 is 0.9961. The Bernoulli log likelihood of the quantised decoder is minus
# infinity as soon as one such pixel is white; white pixels cost at least 0.0039 nats each. The same
# network cut before its sigmoid keeps logits of both signs, with finite likelihoods.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, ai-edge-litert 2.3.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen sigmoid: scale 1/256, zero point -128
# Seen sigmoid: smallest probability is 0: True, largest above 0.9962: False
# Seen logits: both signs: True
# Seen logits: smallest probability is 0: False, largest above 0.9962: True
#
# What we do about it: our exports have float32 outputs (int8 weights at the most); a file of int8
# outputs should give logits, never probabilities.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 keras==3.15.1 ai-edge-litert==2.3.0 \
    numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import contextlib
import io

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

keras.utils.set_random_seed(0)
draw = np.random.RandomState(0).randn
codes = keras.Input((8,), batch_size=1)
wide = keras.initializers.RandomNormal(stddev=3.0)
logits = keras.layers.Dense(100, kernel_initializer=wide)(codes)
networks = {
    "sigmoid": keras.Model(codes, keras.ops.sigmoid(logits)), "logits": keras.Model(codes, logits)
}


def quantised(model):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([draw(1, 8).astype("float32")] for _ in range(100))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_output_type = tf.int8
    with contextlib.redirect_stdout(io.StringIO()):
        return converter.convert()


def run(content, rows):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = target["quantization"]
    found = []
    for row in rows:
        interpreter.set_tensor(source["index"], row[None])
        interpreter.invoke()
        found.append((interpreter.get_tensor(target["index"])[0].astype("float32") - zero) * scale)
    return np.stack(found), scale, zero


rows = draw(50, 8).astype("float32")
right = networks["sigmoid"](rows[:1]).numpy()
for name, model in networks.items():
    found, scale, zero = run(quantised(model), rows)
    if name == "logits":
        print("logits: both signs:", bool(found.min() < 0 < found.max()))
        found = 1 / (1 + np.exp(-found))
    else:
        print(f"sigmoid: scale 1/{1 / scale:g}, zero point {zero}")
    print(f"{name}: smallest probability is 0: {bool(found.min() == 0)},"
          f" largest above 0.9962: {bool(found.max() > 0.9962)}")
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
