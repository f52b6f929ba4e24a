"""Cost of the importance-weighted bound: value, seconds and peak memory, one process a row.

python benchmarks/likelihood.py runs/mnist --samples 1 10 100 1000 --images 1000
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def measure(folder: Path, samples: int, images: int) -> str:
    """Return one row of the table; the first, compiling call is not timed."""
    from tfssvae import runs

    model, data = runs.load_run(folder)
    x = data.x_test[:images]
    model.log_likelihood(x[:200], num_samples=samples)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    bounds = model.log_likelihood(x, num_samples=samples)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        f"{samples:8d} {bounds.mean():10.2f} {seconds:9.2f} {images * samples / seconds:12,.0f} "
        f"{peak / 1024:9.0f} {before / 1024:14.0f}"
    )


def main() -> None:
    """Print a row per number of samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    if len(options.samples) == 1:
        print(measure(options.run_folder, options.samples[0], options.images))
        return
    print(" samples  nats/image   seconds  decodings/s  peak MiB  MiB before it")
    for samples in options.samples:
        command = [sys.executable, __file__, str(options.run_folder), "--samples", str(samples)]
        command += ["--images", str(options.images)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        print(result.stdout.rstrip())


if __name__ == "__main__":
    main()
