"""SHOT-VAE on 32x32 colour images with WRN-28-2: speed of a step, and of an optimal match.

    python benchmarks/wide_resnet_speed.py [--batch 512] [--steps 3] [--precision float32]

A step takes as many labelled as unlabelled images. "least" counts the operations of every
convolution and dense layer, three products each (the output, the gradients of the weights and of
the input); mixed images pass the encoder once more. The peak is the best rate of a square matrix
product.
"""

import argparse
import resource
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from training_speed import matrix_peak

import tfssvae
from tfssvae import losses
from tfssvae.training import train

CLASSES, LATENT = 10, 128


def operations(network, rows: int) -> float:
    """Return the operations of training a network of convolutions on so many rows."""
    total = 0.0
    for layer in network._flatten_layers():
        kernel = getattr(layer, "kernel", None)
        if isinstance(layer, keras.layers.Conv2DTranspose):
            places = np.prod(layer.input.shape[1:3])
        elif isinstance(layer, keras.layers.Conv2D):
            places = np.prod(layer.output.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            places = 1
        else:
            continue
        total += 3 * 2 * rows * float(places) * float(np.prod(kernel.shape))
    return total


def match_seconds(rows: int, repeats: int = 20) -> float:
    """Return the seconds of one optimal match, the median of several."""
    rng = np.random.default_rng(0)
    mean, log_var = (tf.constant(rng.normal(size=(rows, LATENT)), tf.float32) for _ in range(2))
    match = tf.function(losses.optimal_match)
    match(mean, log_var)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        match(mean, log_var).numpy()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=512, help="labelled, and unlabelled, images")
    parser.add_argument("--steps", type=int, default=3, help="steps that are timed")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--backbone", default="wide_resnet_28_2")
    options = parser.parse_args()
    for rows in (512, 2048):
        print(f"optimal match of {rows}: {match_seconds(rows) * 1e3:.2f} ms")
    rng = np.random.default_rng(0)
    rows = options.batch
    x = rng.integers(0, 256, (2 * rows, 32, 32, 3), dtype=np.uint8)
    y = np.where(np.arange(2 * rows) < rows, np.arange(2 * rows) % CLASSES, -1)
    data = tfssvae.data.from_arrays(x, y, num_classes=CLASSES)
    model = tfssvae.models.ShotVAE(
        (32, 32, 3),
        CLASSES,
        latent_dim=LATENT,
        backbone=options.backbone,
        dtype=options.precision,
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    encoder = operations(model.encoder, 1)
    decoder = operations(model.decoder, 1)
    least = 3 * rows * encoder + 2 * rows * decoder
    train(model, data, 1, rows, rows, jit_compile=False, verbose=0)
    seconds = []
    for _ in range(options.steps):
        started = time.perf_counter()
        train(model, data, 1, rows, rows, jit_compile=False, verbose=0)
        seconds.append(time.perf_counter() - started)
    step, peak = statistics.median(seconds), matrix_peak(tf.float32)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{options.backbone}, {options.precision}, {rows}+{rows}: {least / rows / 1e6:.0f} MFLOP "
        f"for an unlabelled image, {step:.1f} s a step, {rows / step:.1f} images/s, "
        f"{least / step / peak:.0%} of the peak of {peak / 1e9:.0f} GFLOP/s; {memory:.1f} GiB"
    )


if __name__ == "__main__":
    main()
