#!/usr/bin/env bash
# Keras joins a masked sequence with another input: Concatenate turns the mask to all True, Add
# drops it.
#
# Guess: a step that one of the joined inputs masks stays masked (Keras 2 took the and of the
# masks), or Keras warns, as it does when a mask is lost in a Flatten.
# Found: Concatenate of a masked and an unmasked sequence gives a mask that is True at every step: a
# missing mask counts as True and the masks are joined by "or". Add, Multiply and Average with an
# unmasked input give no mask at all, without a warning. A class vector repeated along time and
# joined to a padded sequence therefore makes an LSTM read the padding.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, numpy 2.4.6, Python 3.11, CPU.
#
# Seen Masking: [True, True, True, False]
# Seen Concatenate with an unmasked input: [True, True, True, True]
# Seen Add with an unmasked input: None
# Seen Multiply with an unmasked input: None
# Seen Average with an unmasked input: None
# Seen Concatenate with an input masked nowhere: [True, True, True, True]
# Seen an LSTM skips the padding of what Concatenate gives: False
# Seen an LSTM skips it when called with mask=...: True
#
# What we do about it: our models take images of one size and use no sequence masks; a network for
# sequences should pass the mask to its recurrent layer by name (mask=...).
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

keras.utils.set_random_seed(0)
sequence = np.ones([1, 4, 2], np.float32)
sequence[:, 3] = 0.0  # the last step is padding
masked = keras.layers.Masking()(tf.constant(sequence))
label = tf.ones([1, 4, 3])
print("Masking:", masked._keras_mask.numpy()[0].tolist())
for layer, other in [
    (keras.layers.Concatenate(), label),
    (keras.layers.Add(), tf.ones([1, 4, 2])),
    (keras.layers.Multiply(), tf.ones([1, 4, 2])),
    (keras.layers.Average(), tf.ones([1, 4, 2])),
]:
    joined = layer([masked, other])
    mask = getattr(joined, "_keras_mask", None)
    shown = None if mask is None else mask.numpy()[0].tolist()
    print(f"{layer.__class__.__name__} with an unmasked input:", shown)
both = keras.layers.Concatenate()([masked, keras.layers.Masking()(label)])
print("Concatenate with an input masked nowhere:", both._keras_mask.numpy()[0].tolist())
lstm = keras.layers.LSTM(2)
joined = keras.layers.Concatenate()([masked, label])
read = lstm(joined).numpy()
short = lstm(joined[:, :3]).numpy()
named = lstm(joined, mask=masked._keras_mask).numpy()
print("an LSTM skips the padding of what Concatenate gives:", np.allclose(read, short))
print("an LSTM skips it when called with mask=...:", np.allclose(named, short))
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
