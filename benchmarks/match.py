"""Seconds of SHOT-VAE's optimal match, and the memory that it takes.

    tfssvae bench match [--rows 512 2048 4096] [--json out.json]

Every pair of Gaussians of a batch is compared by one matrix product: 2 B^2 (2 d + 1) operations and
(B, B) values. The loop over pairs that the authors published takes 35.6 s for 512 rows on four
cores.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from measuring import matrix_peak

from tfssvae import losses

LATENT = 128


def measure(rows: int, repeats: int = 20) -> dict[str, float]:
    """Return the median seconds of an optimal match, its operations, and the memory it added."""
    rng = np.random.default_rng(0)
    mean, log_var = (tf.constant(rng.normal(size=(rows, LATENT)), tf.float32) for _ in range(2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    match = tf.function(losses.optimal_match)
    match(mean, log_var)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        match(mean, log_var).numpy()
        times.append(time.perf_counter() - started)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # Last: its matrices would hide what a match takes from the process's peak.
    return {
        "peak": matrix_peak(tf.float32),
        "seconds": statistics.median(times),
        "operations": 2.0 * rows**2 * (2 * LATENT + 1),
        "memory_mib": memory / 1024,
    }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[512, 2048, 4096])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    if min(options.rows) < 1:
        parser.error("--rows must be 1 or more")
    found = {}
    for rows in sorted(options.rows):  # each in a process of its own, whose memory is its own
        command = [sys.executable, __file__, "--measure", str(rows)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[rows] = json.loads(done.stdout.splitlines()[-1])
    peak = max(figures["peak"] for figures in found.values())
    print(f"matrix peak: float32 {peak / 1e9:.0f} GFLOP/s")
    for rows, figures in found.items():
        print(
            f"optimal match of {rows:5}: {figures['seconds'] * 1e3:7.2f} ms, "
            f"{figures['operations'] / figures['seconds'] / peak:4.0%} of the peak, "
            f"{figures['memory_mib']:.0f} MiB more than before; (B, B) floats are "
            f"{rows**2 * 4 / 2**20:.0f} MiB"
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"peak_gflops": peak / 1e9, "rows": found}, file, indent=2)


if __name__ == "__main__":
    main()
