"""Cost of the importance-weighted bound on log p(x), as a fraction of the matrix peak.

    tfssvae bench likelihood [--methods vae cagem] [--samples 5000] [--images 100] [--json F]

Each method has a process of its own, so that its peak memory is its own: the networks of its
paper's MNIST experiments, untrained, which costs the same as trained. "least" counts the products
that an importance sample needs: those of every layer that a draw reaches, once per sample; those of
the image and of the (image, class) pairs are made once per image and do not count. The peak is the
best rate of a square matrix product measured between the rounds.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf
from measuring import CLASSES, PIXELS, matrix_peak

import tfssvae
from tfssvae.recipes.cagem import ARCHITECTURES

K, X = CLASSES, PIXELS

# Those of CaGeM's Table 1, the others' own.
ARGUMENTS: dict[str, dict[str, Any]] = {
    name: ARCHITECTURES[name] for name in ("vae", "lvae", "cagem")
}
# (inputs, outputs) of the products of one importance sample.
LAYERS: dict[str, list[tuple[int, int]]] = {
    "vae": [(64, 1024), (1024, 512), (512, X)],
    "m2": [(50, 600), (600, 600), (600, X)],
    "adgm": [  # q(y|a,x), q(z|a,x,y), p(a|x,y,z), p(x|a,y,z)
        *[(100, 500), (500, K)],
        *[(100, 500), (500, 500), (500, 200)],
        *[(100, 500), (500, 500), (500, 200)],
        *[(200, 500), (500, 500), (500, X)],
    ],
    "lvae": [(32, 512), (512, 128), (64, 1024), (1024, X)],  # p(z1|y,z2), p(x|z1)
    "shot_vae": [(10, 500), (500, 500), (500, 500), (500, X)],
    "exon": [(2, 128), (128, 256), (256, X)],
    "untapped": [(2, 250), (250, 500), (500, X)],
    "cagem": [  # q(y|z1,x), q(z2|x,y,z1), p(y|z2), p(z1|y,z2), p(x|y,z1)
        *[(64, 1024), (1024, 512), (512, K)],
        *[(64, 1024), (1024, 512), (512, 64)],
        *[(32, 1024), (1024, 512), (512, K)],
        *[(32, 1024), (1024, 512), (512, 128)],
        *[(64, 1024), (1024, 512), (512, X)],
    ],
}


def peak_memory() -> float:
    """Return the most memory that the process has held so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(method: str, samples: int, images: int) -> dict[str, float]:
    """Return the cost of one method's bound; the first, compiling call is not timed."""
    model = tfssvae.METHODS[method]((28, 28, 1), K, **ARGUMENTS.get(method, {}))
    x = np.random.default_rng(0).integers(0, 2, (images, 28, 28, 1)).astype("float32")
    peaks = [matrix_peak(tf.float32, repeats=3)]
    before = peak_memory()
    model.log_likelihood(x, num_samples=100)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        model.log_likelihood(x, num_samples=samples)
        seconds.append(time.perf_counter() - started)
        peaks.append(matrix_peak(tf.float32, repeats=3))
    per_sample = statistics.median(seconds) / (images * samples)
    least = sum(2 * inputs * outputs for inputs, outputs in LAYERS[method])
    return {
        "least_mflop_per_sample": least / 1e6,
        "us_per_sample": per_sample * 1e6,
        "images_per_s": 1 / (per_sample * samples),
        "peak_gflops": max(peaks) / 1e9,
        "fraction_of_peak": least / per_sample / max(peaks),
        "memory_mib": peak_memory(),
        "memory_of_the_bound_mib": peak_memory() - before,
    }


def main() -> None:
    """Measure each method in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.samples < 1 or options.images < 1:
        parser.error("--samples and --images must be 1 or more")
    if options.here:
        print(json.dumps(measure(options.methods[0], options.samples, options.images)))
        return
    print(f"{'method':10} {'MFLOP':>6} {'us/sample':>9} {'images/s':>8} {'of peak':>7} {'MiB':>6}")
    report = {}
    for method in options.methods:
        command = [sys.executable, __file__, "--here", "--methods", method]
        command += ["--samples", str(options.samples), "--images", str(options.images)]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = report[method] = json.loads(result.stdout.splitlines()[-1])
        print(
            f"{method:10} {row['least_mflop_per_sample']:6.2f} {row['us_per_sample']:9.2f} "
            f"{row['images_per_s']:8.1f} {row['fraction_of_peak']:7.0%} "
            f"{row['memory_of_the_bound_mib']:6.0f}",
            flush=True,
        )
    peak = max(row["peak_gflops"] for row in report.values())
    print(f"matrix peak: {peak:.0f} GFLOP/s; MiB: peak memory above that before the bound")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
