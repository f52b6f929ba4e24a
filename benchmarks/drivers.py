"""Training speed of M2 784-600-600, z 50, K=10, as a fraction of this machine's matrix peak.

    tfssvae bench drivers [--rounds 3] [--steps 96] [--json out.json]

Every way of training takes steps of 100 labelled + 200 unlabelled images, in turn, several rounds;
the median step is reported. The peak is the best rate of a square matrix product measured between
the rounds; "least" counts the fewest operations that the model's layers need: products with the
image once per image, no gradient with respect to the image.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from measuring import CLASSES, PIXELS, StepTimer, matrix_peak

import tfssvae
from tfssvae.training import train

LABELLED, UNLABELLED, HIDDEN, LATENT = 100, 200, 600, 50


def least_operations() -> float:
    """Return the fewest floating-point operations of one step, counted from the layers."""
    images = LABELLED + UNLABELLED
    pairs = LABELLED + UNLABELLED * CLASSES
    # (rows, inputs, outputs, products): the forward one, the weights' and the inputs' gradient.
    products = [
        (images, PIXELS, HIDDEN, 2),  # classifier, first layer: no gradient of the image
        (images, HIDDEN, CLASSES, 3),
        (images, PIXELS, HIDDEN, 2),  # encoder, the image's part of the first layer
        (pairs, HIDDEN, HIDDEN, 3),
        (pairs, HIDDEN, 2 * LATENT, 3),  # mean and log-variance
        (pairs, LATENT, HIDDEN, 3),  # decoder
        (pairs, HIDDEN, HIDDEN, 3),
        (pairs, HIDDEN, PIXELS, 3),
    ]
    return float(sum(2 * rows * a * b * times for rows, a, b, times in products))


def model_rate(repeats: int = 20) -> float:
    """Return the rate of the three products of the largest layer, at the model's own shapes."""
    pairs = LABELLED + UNLABELLED * CLASSES
    h, w = tf.random.normal((pairs, HIDDEN)), tf.random.normal((HIDDEN, PIXELS))
    g = tf.random.normal((pairs, PIXELS))

    @tf.function(jit_compile=True)
    def products(h, w, g):
        forward = tf.matmul(h, w)
        return forward, tf.matmul(h, g, transpose_a=True), tf.matmul(g, w, transpose_b=True)

    products(h, w, g)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        products(h, w, g)[2].numpy()
        times.append(time.perf_counter() - started)
    return 3 * 2 * pairs * HIDDEN * PIXELS / statistics.median(times)


def make_way(data, driver: str, precision: str, jit: bool, steps: int):
    """Return a function that trains for one epoch with a persistent model and timer."""
    model = tfssvae.models.M2(data.input_shape, CLASSES, LATENT, (HIDDEN, HIDDEN), dtype=precision)
    fit_steps = steps if driver == "fit" else 1
    model.compile(keras.optimizers.Adam(3e-4), jit_compile=jit, steps_per_execution=fit_steps)
    timer = StepTimer()
    batches = data.train(LABELLED, UNLABELLED) if driver == "fit" else None

    def epoch():
        if driver == "fit":
            model.fit(batches, epochs=1, verbose=0, callbacks=[timer])
        else:
            train(
                model,
                data,
                1,
                LABELLED,
                UNLABELLED,
                callbacks=[timer],
                steps_per_call=steps,
                jit_compile=jit,
                verbose=0,
            )

    return epoch, timer


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of every way in turn")
    parser.add_argument("--steps", type=int, default=96, help="steps a round")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps must be 1 or more")
    rng = np.random.default_rng(0)
    rows = LABELLED + UNLABELLED * options.steps
    x = rng.integers(0, 256, (rows, 28, 28, 1), dtype=np.uint8)
    y = np.where(np.arange(rows) < LABELLED, np.arange(rows) % CLASSES, -1)
    data = tfssvae.data.from_arrays(x, y, num_classes=CLASSES)
    ways = {
        "fit, plain": ("fit", "float32", False, 1),
        "fit, 16 steps a call": ("fit", "float32", False, 16),
        "fit, 16 steps a call, XLA": ("fit", "float32", True, 16),
        "loop, plain": ("loop", "float32", False, 32),
        "loop, XLA": ("loop", "float32", True, 32),
        "fit, 16 steps a call, bfloat16": ("fit", "mixed_bfloat16", False, 16),
        "loop, bfloat16": ("loop", "mixed_bfloat16", False, 32),
    }
    prepared = {name: make_way(data, *way) for name, way in ways.items()}
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(options.rounds):
        for epoch, _ in prepared.values():
            peaks["float32"].append(matrix_peak(tf.float32))
            peaks["bfloat16"].append(matrix_peak(tf.bfloat16))
            epoch()
    peak = {name: max(values) for name, values in peaks.items()}
    least = least_operations()
    at_shapes = model_rate()
    print(f"least operations a step: {least / 1e9:.2f} GFLOP")
    print(
        f"matrix peak: float32 {peak['float32'] / 1e9:.0f}, bfloat16 "
        f"{peak['bfloat16'] / 1e9:.0f} GFLOP/s; float32 at the model's shapes "
        f"{at_shapes / 1e9:.0f} GFLOP/s"
    )
    print(
        f"{'way':32} {'ms/step':>8} {'images/s':>9} {'of peak':>8} {'of shapes':>9} {'first':>10}"
    )
    report = {
        "least_gflop": least / 1e9,
        "peak_gflops": {k: v / 1e9 for k, v in peak.items()},
        "shapes_gflops": at_shapes / 1e9,
        "ways": {},
    }
    for name, (_, timer) in prepared.items():
        step = statistics.median(timer.seconds)
        rate = least / step
        print(
            f"{name:32} {step * 1e3:8.1f} {UNLABELLED / step:9.0f} "
            f"{rate / peak['float32']:8.0%} {rate / at_shapes:9.0%} {timer.first:9.1f}s"
        )
        report["ways"][name] = {
            "ms": step * 1e3,
            "unlabelled_images_per_s": UNLABELLED / step,
            "fraction_of_float32_peak": rate / peak["float32"],
            "first_call_s": timer.first,
        }
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
