"""Training speed of the convolutional models, and of an optimal match.

    tfssvae bench convolutions [--models wide_resnet_28_2 exon_mnist exon_cifar10]
        [--batch 512] [--steps 3] [--precision float32] [--json out.json]

`wide_resnet_28_2` is SHOT-VAE on 32x32 colour images with interpolation, as many labelled as
unlabelled images a step (--batch); `exon_mnist` and `exon_cifar10` are EXoN with its consistency
term and augmentations on 32 + 96 images. Steps are of the compiled loop without XLA, whose
convolutions are slow on a CPU; the first, which is traced, is left out. "least" counts the
operations of every convolution and dense layer, three products each (the output, the gradients of
the weights and of the input; the last not for images). The peak is the best rate of a square
matrix product, measured before and after every model.
"""

import argparse
import json
import resource
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from measuring import CLASSES, StepTimer, matrix_peak

import tfssvae
from tfssvae import losses
from tfssvae.recipes import exon
from tfssvae.training import train

LATENT = 128
EXON = {"exon_mnist": ("mnist", (28, 28, 1)), "exon_cifar10": ("cifar10", (32, 32, 3))}
MODELS = ("wide_resnet_28_2", "wide_resnet_28_10", *EXON)


def operations(network) -> float:
    """Return the operations of training a network on one row."""
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
        products = 2 if layer.input.shape[1:] in ((28, 28, 1), (32, 32, 3)) else 3
        total += products * 2 * float(places) * float(np.prod(kernel.shape))
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


def wide_resnet(backbone: str, precision: str, rows: int):
    """Return SHOT-VAE with a wide residual network, its batch and its least operations a step."""
    model = tfssvae.models.ShotVAE(
        (32, 32, 3), CLASSES, latent_dim=LATENT, backbone=backbone, dtype=precision
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    # Interpolated images pass the encoder once more.
    least = 3 * rows * operations(model.encoder) + 2 * rows * operations(model.decoder)
    return model, (rows, rows), least


def exon_model(name: str, precision: str):
    """Return EXoN with the paper's settings, its batch and its least operations a step."""
    data, shape = EXON[name]
    found = keras.saving.deserialize_keras_object(
        exon.settings(data, 0.25, steps_per_epoch=624, epochs=exon.EPOCHS[data])
    )
    model = tfssvae.models.EXoN(shape, CLASSES, **found["model"], dtype=precision)
    model.compile(found["optimizer"])
    labelled, unlabelled = exon.LABELLED, exon.UNLABELLED
    images = labelled + unlabelled
    # The classifier sees images, changed labelled images, and mixtures of changed ones.
    classified = images + labelled + images
    least = classified * operations(model.classifier)
    least += images * (operations(model.encoder) + operations(model.decoder))
    return model, (labelled, unlabelled), least


def measure(name: str, precision: str, batch: int, steps: int) -> dict:
    """Train for some steps and return the figures."""
    if name in EXON:
        model, (labelled, unlabelled), least = exon_model(name, precision)
    else:
        model, (labelled, unlabelled), least = wide_resnet(name, precision, batch)
    rng = np.random.default_rng(0)
    rows = labelled + unlabelled * (steps + 1)
    x = rng.integers(0, 256, (rows, *model.example_shape), dtype=np.uint8)
    y = np.where(np.arange(rows) < labelled, np.arange(rows) % CLASSES, -1)
    data = tfssvae.data.from_arrays(x, y, num_classes=CLASSES)
    timer = StepTimer()
    peaks = [matrix_peak(tf.float32)]
    options = {"steps_per_call": 1, "jit_compile": False, "verbose": 0}
    train(model, data, 1, labelled, unlabelled, callbacks=[timer], **options)
    peaks.append(matrix_peak(tf.float32))
    step, peak = statistics.median(timer.seconds), max(peaks)
    return {
        "model": name,
        "precision": precision,
        "batch": [labelled, unlabelled],
        "least_mflop_per_unlabelled_image": least / unlabelled / 1e6,
        "seconds_per_step": step,
        "first_step_seconds": timer.first,
        "unlabelled_images_per_s": unlabelled / step,
        "peak_gflops": peak / 1e9,
        "fraction_of_peak": least / step / peak,
        "memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["wide_resnet_28_2"])
    parser.add_argument("--batch", type=int, default=512, help="of a WRN, labelled and unlabelled")
    parser.add_argument("--steps", type=int, default=3, help="steps that are timed")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    for rows in (512, 2048):
        print(f"optimal match of {rows}: {match_seconds(rows) * 1e3:.2f} ms")
    found = []
    for name in options.models:
        figures = measure(name, options.precision, options.batch, options.steps)
        labelled, unlabelled = figures["batch"]
        print(
            f"{name}, {options.precision}, {labelled}+{unlabelled}: "
            f"{figures['least_mflop_per_unlabelled_image']:.0f} MFLOP for an unlabelled image, "
            f"{figures['seconds_per_step']:.3f} s a step, "
            f"{figures['unlabelled_images_per_s']:.1f} images/s, "
            f"{figures['fraction_of_peak']:.0%} of the peak of {figures['peak_gflops']:.0f} "
            f"GFLOP/s; {figures['memory_gib']:.1f} GiB"
        )
        found.append(figures)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
