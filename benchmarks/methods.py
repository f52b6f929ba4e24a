"""Training speed of every method at its paper's MNIST networks, as a fraction of the matrix peak.

    tfssvae bench methods [--methods m2 adgm lvae shot_vae] [--json out.json]

Each method takes steps of the compiled loop with XLA, in turn, several rounds; the median step is
reported. "least" counts the fewest operations that its dense layers need, three products each (the
output, the gradient of the weights, the gradient of the input; the last not for images): products
with the image once per image, products that follow the class once per (image, class) pair. The
peak is the best rate of a square matrix product measured between the rounds. `plain_keras.py` is
what they are compared with.
"""

import argparse
import json
import statistics

import keras
import numpy as np
import plain_keras
import tensorflow as tf
from measuring import CLASSES, PIXELS, StepTimer, matrix_peak

import tfssvae
from tfssvae.training import train

K, X = CLASSES, PIXELS
IMAGE, ROW, PAIR = "image", "row", "pair"
"""What a product is made for: an image (no gradient of it), a row of the batch, or a pair."""

Layer = tuple[str, int, int]
LAYERS: dict[str, list[Layer]] = {
    "m2": [  # classifier, encoder, decoder
        *[(IMAGE, X, 600), (ROW, 600, K)],
        *[(IMAGE, X, 600), (PAIR, 600, 600), (PAIR, 600, 100)],
        *[(PAIR, 50, 600), (PAIR, 600, 600), (PAIR, 600, X)],
    ],
    "adgm": [  # q(a|x), classifier, q(z|a,x,y), p(a|x,y,z), p(x|y,z)
        *[(IMAGE, X, 500), (ROW, 500, 500), (ROW, 500, 200)],
        *[(IMAGE, X, 500), (ROW, 100, 500), (ROW, 500, K)],
        *[(IMAGE, X, 500), (ROW, 100, 500), (PAIR, 500, 500), (PAIR, 500, 200)],
        *[(IMAGE, X, 500), (PAIR, 100, 500), (PAIR, 500, 500), (PAIR, 500, 200)],
        *[(PAIR, 100, 500), (PAIR, 500, 500), (PAIR, 500, X)],
    ],
    "lvae": [  # classifier, upwards (the class comes in at the top), downwards, decoder
        *[(IMAGE, X, 128), (ROW, 128, K)],
        *[(IMAGE, X, 128), (ROW, 128, 64), (ROW, 128, 128), (ROW, 128, 32), (ROW, 128, 128)],
        (PAIR, 128, 16),
        *[(PAIR, 8, 128), (PAIR, 128, 32), (PAIR, 16, 128), (PAIR, 128, 64)],
        *[(PAIR, 32, 128), (PAIR, 128, X)],
    ],
    "shot_vae": [  # encoder with its heads, on mixed images too; decoder of one drawn class
        *[(IMAGE, X, 500), (ROW, 500, 500), (ROW, 500, 500), (ROW, 500, 20 + K)],
        *[("mixed", X, 500), ("mixed", 500, 500), ("mixed", 500, 500), ("mixed", 500, K)],
        *[(ROW, 10, 500), (ROW, 500, 500), (ROW, 500, 500), (ROW, 500, X)],
    ],
}
BATCH = {"m2": (100, 200), "adgm": (100, 100), "lvae": (100, 200), "shot_vae": (4, 128)}
"""Labelled and unlabelled images a step, those of published measurements of other code."""


PLAIN = "m2_plain_keras"


def _of(name: str) -> str:
    """Return the method that a row of the table is about."""
    return "m2" if name == PLAIN else name


def least_operations(method: str) -> float:
    """Return the fewest floating-point operations of one step, counted from the layers."""
    labelled, unlabelled = BATCH[method]
    rows = {
        IMAGE: labelled + unlabelled,
        ROW: labelled + unlabelled,
        PAIR: labelled + unlabelled * K,
        "mixed": unlabelled,
    }
    total = 0
    for kind, inputs, outputs in LAYERS[method]:
        products = 2 if inputs == X else 3
        total += 2 * rows[kind] * inputs * outputs * products
    return float(total)


def make_epoch(method: str, steps: int):
    """Return a function that trains for one epoch with a persistent model and timer."""
    labelled, unlabelled = BATCH[_of(method)]
    rng = np.random.default_rng(0)
    rows = labelled + unlabelled * steps
    x = rng.integers(0, 256, (rows, 28, 28, 1), dtype=np.uint8)
    y = np.where(np.arange(rows) < max(labelled, K), np.arange(rows) % K, -1)
    data = tfssvae.data.from_arrays(x, y, num_classes=K)
    timer = StepTimer()
    if method == PLAIN:
        return plain_keras.make_epoch(x, y, labelled, unlabelled, timer), timer
    model = tfssvae.METHODS[method](data.input_shape, K)
    model.compile(keras.optimizers.Adam(3e-4))

    def epoch():
        train(
            model,
            data,
            1,
            labelled,
            unlabelled,
            callbacks=[timer],
            steps_per_call=32,
            jit_compile=True,
            verbose=0,
        )

    return epoch, timer


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*LAYERS, PLAIN]
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    parser.add_argument("--rounds", type=int, default=3, help="of every method in turn")
    parser.add_argument("--steps", type=int, default=96, help="steps a round")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    prepared = {method: make_epoch(method, options.steps) for method in options.methods}
    peaks = []
    for _ in range(options.rounds):
        for epoch, _ in prepared.values():
            peaks.append(matrix_peak(tf.float32))
            epoch()
    peak = max(peaks)
    print(f"matrix peak: float32 {peak / 1e9:.0f} GFLOP/s")
    print(f"{'method':17} {'batch':>9} {'GFLOP':>6} {'ms/step':>8} {'images/s':>9} {'of peak':>8}")
    report = {"peak_gflops": peak / 1e9, "methods": {}}
    for method, (_, timer) in prepared.items():
        step, least = statistics.median(timer.seconds), least_operations(_of(method))
        labelled, unlabelled = BATCH[_of(method)]
        print(
            f"{method:17} {f'{labelled}+{unlabelled}':>9} {least / 1e9:6.2f} {step * 1e3:8.1f} "
            f"{unlabelled / step:9.0f} {least / step / peak:8.0%}"
        )
        report["methods"][method] = {
            "least_gflop": least / 1e9,
            "ms": step * 1e3,
            "unlabelled_images_per_s": unlabelled / step,
            "fraction_of_peak": least / step / peak,
        }
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
