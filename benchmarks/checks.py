"""What the checks of a batch cost: a training step with and without them, side by side.

    tfssvae bench checks [--rounds 30] [--json out.json]

The same step (`take_step`) of the same model on the same batch, once after `checked_batch`
(`train_step`, as Keras calls it) and once alone (as the compiled loop calls it on data that were
checked as a whole), by turns. Images are floats, whose values have to be looked at; of uint8
images only the labels have to. M2 of the published size with 100 + 200 rows, and a tiny one.
"""

import argparse
import json
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from tfssvae.models import M2

MODELS = {
    "M2, 784-600-600, 100 + 200": ((28, 28, 1), 50, (600, 600), 100, 200, 5),
    "tiny M2, 64-8, 10 + 10": ((8, 8, 1), 2, (8,), 10, 10, 200),
}


def prepared(shape, latent_dim, hidden, labelled, unlabelled, dtype):
    """Return functions that take a step with and without the checks."""
    model = M2(shape, 10, latent_dim, hidden)
    model.compile(keras.optimizers.SGD(1e-6))
    model.prepare()
    rng = np.random.default_rng(0)
    images = rng.random((labelled + unlabelled, *shape), "float32")
    if dtype == "uint8":
        images = (images * 255).astype("uint8")
    x = {"labelled": tf.constant(images[:labelled]), "unlabelled": tf.constant(images[labelled:])}
    batch = x, tf.constant(np.arange(labelled) % 10)

    def traced(step):
        function = tf.function(lambda x, y: step((x, y))["loss"], autograph=False)
        function = function.get_concrete_function(*batch)
        return lambda: function(*batch).numpy()

    return traced(model.train_step), traced(model.take_step)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    report = {}
    for name, (*sizes, steps) in MODELS.items():
        for dtype in ("float32", "uint8"):
            functions = prepared(*sizes, dtype)
            for function in functions:
                function()
            rounds = []
            for number in range(options.rounds):
                pair = {}
                # By turns, each first in every other round.
                for place in (0, 1) if number % 2 else (1, 0):
                    started = time.perf_counter()
                    for _ in range(steps):
                        functions[place]()
                    pair[place] = (time.perf_counter() - started) / steps
                rounds.append((pair[0], pair[1]))
            checked, alone = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(one / other for one, other in rounds)
            report[f"{name}, {dtype}"] = {"checked": checked, "alone": alone, "ratio": ratio}
            print(
                f"{name:28} {dtype:8} {checked * 1e3:8.3f} ms checked, {alone * 1e3:8.3f} ms alone,"
                f" {100 * (ratio - 1):+.2f}%",
                flush=True,
            )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
