"""Training speed of every method at its paper's networks, beside plain Keras and plain PyTorch.

    tfssvae bench methods [--rows m2 m2_keras m2_torch ...] [--rounds 2] [--precision float32]

Each row has a process of its own, in turn, several rounds; the median step is reported, and of the
rounds the best (what a machine shared with others takes away is not the program's). "GFLOP" are the
operations of the matrix products of a step (see `products.py`), for the plain ones those of the
method that they write out: what they compute more is their loss. The peak is the best rate of a
square float32 matrix product of TensorFlow measured in any of the processes; PyTorch's own is
printed too. Memory is the most that the process held in training, "starts" what the first call took
more than its steps: tracing and compiling. "alone" is the time that the products would take one by
one, each a call of TensorFlow, over that of the step.

Steps are those of the compiled loop, with XLA where it is faster: not for convolutions nor half
precision. One call of it takes 32 of them, of convolutions one ("a call"); of CaGeM and Untapped
it takes a whole epoch, which is half of `--steps`, and two epochs are timed after the first.
`plain_keras.py` and `plain_torch.py` need no tfssvae; PyTorch is optional (`pip install torch`).
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class Row(NamedTuple):
    """What a row measures: a method with arguments, and the images of a step."""

    method: str
    labelled: int
    unlabelled: int
    shape: tuple = (28, 28, 1)
    arguments: dict[str, Any] = {}  # noqa: RUF012 - a default of a NamedTuple, never mutated
    convolves: bool = False
    whole_epochs: bool = False  # in one call


# Batches are those of published measurements of other code, or of the paper.
ROWS = {
    "m2": Row("m2", 100, 200),
    "adgm": Row("adgm", 100, 100),
    "lvae": Row("lvae", 100, 200),
    "shot_vae": Row("shot_vae", 4, 128),
    "cagem": Row(
        "cagem",
        100,
        100,
        arguments={"latent_dims": [64, 32], "hidden": [1024, 512]},
        whole_epochs=True,
    ),
    "untapped": Row("untapped", 1000, 1000, whole_epochs=True),
    "exon_mnist": Row("exon", 32, 96, convolves=True),
    "exon_cifar10": Row("exon", 32, 96, (32, 32, 3), convolves=True),
    "wide_resnet_28_2": Row(
        "shot_vae",
        512,
        512,
        (32, 32, 3),
        {"latent_dim": 128, "backbone": "wide_resnet_28_2"},
        convolves=True,
    ),
}
PLAIN = ("m2", "adgm", "lvae")  # that are also written in plain Keras and plain PyTorch
NAMES = (*ROWS, *(f"{name}_{library}" for library in ("keras", "torch") for name in PLAIN))
_STEPS_PER_CALL = 32


def method_and_library(name: str) -> tuple[str, str]:
    """Return the row of ROWS that a name is about, and the library that it measures."""
    for library in ("keras", "torch"):
        if name.removesuffix(f"_{library}") in PLAIN and name not in ROWS:
            return name.removesuffix(f"_{library}"), library
    return name, "tfssvae"


def make_model(name: str, precision: str):
    """Return the compiled model of a row."""
    import keras

    import tfssvae
    from tfssvae.recipes import exon

    row = ROWS[name]
    arguments, optimizer = dict(row.arguments), keras.optimizers.Adam(3e-4)
    if row.method == "exon":
        found = keras.saving.deserialize_keras_object(
            exon.settings(name.removeprefix("exon_"), 0.25, steps_per_epoch=624, epochs=600)
        )
        arguments, optimizer = found["model"], found["optimizer"]
    model = tfssvae.METHODS[row.method](row.shape, 10, **arguments, dtype=precision)
    model.compile(optimizer)
    return model


def measure(name: str, steps: int, precision: str) -> dict[str, float]:
    """Train for some steps after the first call; return the figures."""
    import numpy as np

    method, library = method_and_library(name)
    row = ROWS[method]
    epochs = 3 if row.whole_epochs else 1
    if row.whole_epochs:
        steps = -(-steps // (epochs - 1))
    else:
        steps = 4 if row.convolves and row.shape[0] == 32 else steps + _STEPS_PER_CALL
    rng = np.random.default_rng(0)
    rows = row.labelled + row.unlabelled * steps
    x = rng.integers(0, 256, (rows, *row.shape), dtype=np.uint8)
    y = np.where(np.arange(rows) < max(row.labelled, 10), np.arange(rows) % 10, -1)
    if library == "torch":
        import plain_torch

        seconds = plain_torch.step_seconds(method, x, y, row.labelled, row.unlabelled, steps)
        step = statistics.median(seconds[1:])
        found = {"seconds": step, "starts": seconds[0] - step, **_memory()}
        return {**found, "torch_peak": plain_torch.matrix_peak()}
    import tensorflow as tf
    from measuring import StepTimer, matrix_peak

    timer = StepTimer()
    found: dict[str, float] = {}
    in_first = 1
    if library == "keras":
        import plain_keras

        plain_keras.train(method, x, y, row.labelled, row.unlabelled, timer)
        found |= _memory()
    else:
        import products

        import tfssvae
        from tfssvae.training import train

        data = tfssvae.data.from_arrays(x, y, num_classes=10)
        slow = row.convolves or precision != "float32"
        a_call = "epoch" if row.whole_epochs else 1 if row.convolves else _STEPS_PER_CALL
        in_first = steps if row.whole_epochs else a_call
        options = {"steps_per_call": a_call, "jit_compile": not slow, "verbose": 0}
        model = make_model(method, precision)
        train(model, data, epochs, row.labelled, row.unlabelled, [timer], **options)
        found["steps_per_call"] = in_first
        found |= _memory()
        counted = make_model(method, precision)
        batch = (data, row.labelled, row.unlabelled)
        found["operations"] = products.step_operations(counted, *batch)
        found["alone"] = products.seconds_alone(counted, *batch)
    found["seconds"] = statistics.median(timer.seconds)
    found["starts"] = timer.first - in_first * found["seconds"]
    return {**found, "peak": matrix_peak(tf.float32)}


def _memory() -> dict[str, float]:
    return {"memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def _in_process(name: str, options) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, "--steps", str(options.steps)]
    command += ["--precision", options.precision]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--rounds", type=int, default=2, help="of every row in turn")
    parser.add_argument("--steps", type=int, default=96, help="that are timed in a round")
    parser.add_argument(
        "--precision",
        default="float32",
        choices=["float32", "mixed_float16", "mixed_bfloat16"],
        help="of tfssvae's rows",
    )
    parser.add_argument("--measure", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.steps, options.precision)))
        return
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps must be 1 or more")
    names = list(dict.fromkeys(options.rows))
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: its rows are left out")
        names = [name for name in names if not name.endswith("_torch")]
        if not names:
            parser.error("nothing is left to measure: pip install torch")
    needed = [method_and_library(name)[0] for name in names]
    names = list(dict.fromkeys([*needed, *names]))  # a plain row needs the operations of its method
    rounds = [{name: _in_process(name, options) for name in names} for _ in range(options.rounds)]
    peak = max(found.get("peak", 0.0) for each in rounds for found in each.values())
    print(f"matrix peak: float32 {peak / 1e9:.0f} GFLOP/s; {options.precision}")
    of_torch = [found["torch_peak"] for each in rounds for found in each.values()
                if "torch_peak" in found]  # fmt: skip
    if of_torch:
        print(f"of PyTorch: {max(of_torch) / 1e9:.0f} GFLOP/s")
    print(
        f"{'':17} {'batch':>9} {'GFLOP':>7} {'ms/step':>8} {'images/s':>9} {'of peak':>8} "
        f"{'GiB':>5} {'starts':>7} {'alone':>6} {'a call':>6}"
    )
    report: dict[str, Any] = {"peak_gflops": peak / 1e9, "precision": options.precision, "rows": {}}
    for name in names:
        best = min((each[name] for each in rounds), key=lambda found: found["seconds"])
        method, _ = method_and_library(name)
        row, operations = ROWS[method], rounds[0][method]["operations"]
        fraction = operations / best["seconds"] / peak
        print(
            f"{name:17} {f'{row.labelled}+{row.unlabelled}':>9} {operations / 1e9:7.2f} "
            f"{best['seconds'] * 1e3:8.1f} {row.unlabelled / best['seconds']:9.0f} "
            f"{fraction:8.0%} {best['memory_gib']:5.1f} {best['starts']:6.1f}s "
            f"{best['alone'] / best['seconds'] if 'alone' in best else float('nan'):6.0%} "
            f"{best.get('steps_per_call', 1):6}"
        )
        report["rows"][name] = {
            **best,
            "gflop": operations / 1e9,
            "unlabelled_images_per_s": row.unlabelled / best["seconds"],
            "fraction_of_peak": fraction,
        }
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
