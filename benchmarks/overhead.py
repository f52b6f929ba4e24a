"""What a driver costs beside the step: milliseconds a step of a tiny model.

    tfssvae bench overhead [--steps 1000] [--json out.json]

M2 with one hidden layer of 8 units on 8x8 images, 10 + 10 images a step, a few operations: what is
left is the driver's own time. Every way trains in turn, several rounds; medians are reported.
"""

import argparse
import json
import statistics

import keras
import numpy as np
from measuring import StepTimer

import tfssvae
from tfssvae.training import train

ROWS = 10


def make_way(data, driver: str, steps_per_call: int, jit: bool):
    """Return a function that trains for one epoch with a persistent model, and its timer."""
    model = tfssvae.models.M2(data.input_shape, data.num_classes, 2, (8,))
    per_execution = steps_per_call if driver == "fit" else 1
    model.compile(keras.optimizers.SGD(1e-3), steps_per_execution=per_execution, jit_compile=jit)
    timer = StepTimer()
    if driver == "fit":
        batches = data.train(ROWS, ROWS)
        return lambda: model.fit(batches, epochs=1, verbose=0, callbacks=[timer]), timer
    options = {"steps_per_call": steps_per_call, "jit_compile": jit, "verbose": 0}
    return lambda: train(model, data, 1, ROWS, ROWS, callbacks=[timer], **options), timer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps must be 1 or more")
    rng = np.random.default_rng(0)
    rows = ROWS * (options.steps + 1)
    x = rng.integers(0, 256, (rows, 8, 8, 1), dtype=np.uint8)
    y = np.where(np.arange(rows) < ROWS, np.arange(rows) % 10, -1)
    data = tfssvae.data.from_arrays(x, y, num_classes=10)
    ways = {
        "fit": ("fit", 1, False),
        "fit, 50 steps a call": ("fit", 50, False),
        "loop, 50 steps a call": ("loop", 50, False),
        "loop, 50 steps a call, XLA": ("loop", 50, True),
    }
    prepared = {name: make_way(data, *way) for name, way in ways.items()}
    for _ in range(options.rounds):
        for epoch, _ in prepared.values():
            epoch()
    report = {name: statistics.median(timer.seconds) * 1e3 for name, (_, timer) in prepared.items()}
    for name, milliseconds in report.items():
        print(f"{name:28} {milliseconds:7.3f} ms a step")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
