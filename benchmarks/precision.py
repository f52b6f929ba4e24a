"""Loss curves of every method in half precision beside float32, over an epoch of MNIST.

    tfssvae bench precision [--methods m2 lvae] [--data-dir DIR] [--picture out.png] [--json F]

100 labels, 100 labelled + 200 unlabelled images a step, 300 steps, Adam 3e-4, the paper's networks
and weights, the same seed, order and noise in every precision. Reported is the mean loss of the
last 30 steps: of float32, of the others the difference from it, beside how much the loss fell; and
of float16 how many of the steps were left out while Keras's scale of the loss fell from 2^15.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from matplotlib.figure import Figure

import tfssvae
from tfssvae.training import train

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
LABELS, LABELLED, UNLABELLED, EVERY = 100, 100, 200, 30


class Curve(keras.callbacks.Callback):
    """The mean loss of every call of the loop, from the running means that are logged."""

    def __init__(self):
        super().__init__()
        self.losses, self.done, self.total = [], 0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Take the steps before this call off the running mean."""
        total = logs["loss"] * (batch + 1)
        self.losses.append((total - self.total) / (batch + 1 - self.done))
        self.done, self.total = batch + 1, total


def curve(method: str, data, precision: str) -> tuple[list[float], int]:
    """Train for an epoch; return the mean loss of every 30 steps, and the steps left out."""
    kind = tfssvae.METHODS[method]
    weights = kind.paper_weights(LABELS, len(data.y_train) - LABELS)
    model = kind(data.input_shape, data.num_classes, weights=weights, dtype=precision)
    model.compile(keras.optimizers.Adam(3e-4))  # Keras scales the loss of float16
    found = Curve()
    train(
        model, data, 1, LABELLED, UNLABELLED, [found], steps_per_call=EVERY, jit_compile=False,
        verbose=0,
    )  # fmt: skip
    return found.losses, int(model.steps_done) - int(model.optimizer.iterations)


def draw(curves: dict[str, dict[str, list[float]]], path: str) -> None:
    """Write a picture of all curves, one panel for each method."""
    columns = 4
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (method, found) in zip(axes, curves.items(), strict=False):
        for precision, style in zip(PRECISIONS, ("-", "--", ":"), strict=True):
            steps = [EVERY * (place + 1) for place in range(len(found[precision]))]
            panel.plot(steps, found[precision], style, label=precision)
        panel.set_title(method)
    for panel in axes[len(curves) :]:
        panel.set_axis_off()
    axes[0].legend()
    figure.supxlabel("step")
    figure.supylabel("loss, mean of 30 steps")
    figure.savefig(path, dpi=100)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(tfssvae.METHODS)
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    parser.add_argument("--data-dir", help="folder of mnist.npz; default as for tfssvae train")
    parser.add_argument("--picture", help="file for the curves")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    folder = options.data_dir
    try:
        data = tfssvae.data.load("mnist", labels_per_class=LABELS // 10, data_dir=folder)
    except tfssvae.InputError as error:
        parser.error(str(error))
    print(f"{'':12} {'fell by':>9} {'float32':>9} {'bfloat16':>9} {'float16':>9} {'left out':>9}")
    curves: dict[str, dict[str, list[float]]] = {}
    for method in options.methods:
        measured = {precision: curve(method, data, precision) for precision in PRECISIONS}
        found = {precision: losses for precision, (losses, _) in measured.items()}
        whole, *halves = (found[precision] for precision in PRECISIONS)
        differences = " ".join(f"{half[-1] - whole[-1]:+9.3f}" for half in halves)
        print(
            f"{method:12} {whole[0] - whole[-1]:9.2f} {whole[-1]:9.2f} {differences} "
            f"{measured['mixed_float16'][1]:9}",
            flush=True,
        )
        curves[method] = found
    if options.picture:
        draw(curves, options.picture)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(curves, file, indent=2)


if __name__ == "__main__":
    main()
