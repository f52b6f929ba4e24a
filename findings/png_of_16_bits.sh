#!/usr/bin/env bash
# One PNG of 16 bits has four readings: its high byte, the value cut at 255, the value itself, the
# value by 65535.
#
# Guess: a library that returns bytes for a 16-bit picture scales it, and Pillow's convert("RGB")
# and TensorFlow's decode_png give the same picture.
# Found: tf.io.decode_png takes the high byte (1000 becomes 3). Pillow's convert("L") and
# convert("RGB") cut at 255 (1000 becomes 255, nearly all of the picture white).
# keras.utils.load_img cuts in colour mode "rgb" and gives the values of 0 to 65535 in "grayscale",
# where others are in 0 to 255; image_dataset_from_directory of the same Keras gives the high byte.
# decode_image with dtype=float32 divides by 65535.
#
# Versions: tensorflow 2.21.0, keras 3.15.1, pillow 13.0.0, numpy 2.4.6, Python 3.11, CPU.
#
# Seen the file: 0 255 256 1000 32768 40000 65280 65535
# Seen tf.io.decode_png: 0 0 1 3 128 156 255 255
# Seen tf.io.decode_png, uint16: 0 255 256 1000 32768 40000 65280 65535
# Seen tf.io.decode_image, float32: 0 0.003891 0.003906 0.01526 0.5 0.6104 0.9961 1
# Seen Pillow, L: 0 255 255 255 255 255 255 255
# Seen Pillow, RGB: 0 255 255 255 255 255 255 255
# Seen keras load_img, grayscale: 0 255 256 1000 32768 40000 65280 65535
# Seen keras load_img, rgb: 0 255 255 255 255 255 255 255
#
# What we do about it: tfssvae/data/folder.py scales such files itself, to the nearest of 256
# levels. Pictures of 16 bits that come through tensorflow-datasets keep their high byte, which is
# at most one level lower.
set -euo pipefail
script=$(realpath "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python=${FINDINGS_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet tensorflow==2.21.0 keras==3.15.1 pillow==13.0.0 numpy==2.4.6
  python=venv/bin/python
fi
cat > finding.py <<'EOF'
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

values = np.array([[0, 255, 256, 1000], [32768, 40000, 65280, 65535]], np.uint16)
Image.fromarray(values).save("grey.png")
content = tf.io.read_file("grey.png")
picture = Image.open("grey.png")


def show(name, pixels):
    pixels = np.asarray(pixels)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    print(f"{name}:", *[f"{p:.4g}" if p % 1 else f"{p:.0f}" for p in pixels.ravel()])


show("the file", values)
show("tf.io.decode_png", tf.io.decode_png(content))
show("tf.io.decode_png, uint16", tf.io.decode_png(content, dtype=tf.uint16))
show("tf.io.decode_image, float32", tf.io.decode_image(content, dtype=tf.float32))
show("Pillow, L", picture.convert("L"))
show("Pillow, RGB", picture.convert("RGB"))
show("keras load_img, grayscale", keras.utils.load_img("grey.png", color_mode="grayscale"))
show("keras load_img, rgb", keras.utils.load_img("grey.png", color_mode="rgb"))
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
