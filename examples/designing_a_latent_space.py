"""Designing a latent space with EXoN: the digits lie like the keys of a telephone.

    python examples/designing_a_latent_space.py --out runs/keypad

The places of the classes are chosen before training. Afterwards a point of the plane, and a
straight line from one key to another, have a meaning that was known beforehand.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import tfssvae
from tfssvae import evaluation
from tfssvae.layers import GaussianMixturePrior

NAMES = [str(digit) for digit in range(10)]


# --8<-- [start:prior]
def keypad_prior() -> GaussianMixturePrior:
    """Return a prior with the digits in the order of a telephone's keys, the one twice as wide."""
    # Columns and rows of the keys 0 to 9; neighbours are four units apart.
    column = np.array([1, 0, 1, 2, 0, 1, 2, 0, 1, 2])
    row = np.array([0, 3, 3, 3, 2, 2, 2, 1, 1, 1])
    mean = 4.0 * np.stack([column - 1, row - 1.5], axis=1)  # (10, 2)
    variance = np.ones((10, 2))
    variance[1, 0] = 2.0  # ones are written upright and slanted: room to the sides
    return GaussianMixturePrior(mean, variance)


# --8<-- [end:prior]


# --8<-- [start:train]
def train_with(
    prior: GaussianMixturePrior, data: tfssvae.data.Data, epochs: int
) -> tfssvae.models.EXoN:
    """Return EXoN trained with this prior, its weights as recommended for so many steps."""
    labelled, unlabelled = len(data.labelled_indices), len(data.unlabelled_indices)
    steps = epochs * -(-unlabelled // 200)
    model = tfssvae.models.EXoN(
        data.input_shape,
        data.num_classes,
        prior=prior,
        hidden=(256, 256),
        weights=tfssvae.models.EXoN.recommended_weights(labelled, unlabelled, 64, steps=steps),
    )
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    tfssvae.training.train(model, data, epochs=epochs, labelled=100, unlabelled=200, verbose=0)
    return model


# --8<-- [end:train]


# --8<-- [start:pictures]
def draw_plane(model: tfssvae.models.EXoN, data: tfssvae.data.Data, out: Path) -> None:
    """Write the codes of test images over the prior, the images of the plane, and a path."""
    codes = evaluation.latent_scatter_figure(model, data.x_test, data.y_test, NAMES)
    codes.savefig(out / "codes.png")
    evaluation.latent_grid_figure(model, size=19).savefig(out / "plane.png")
    # From the key 1 straight down to the key 7: the path crosses the key 4.
    evaluation.interpolation_figure(model, 1, 7, steps=13).savefig(out / "path.png")


# --8<-- [end:pictures]


def main(arguments: list[str] | None = None) -> None:
    """Choose the prior, train, and look at the plane."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("runs/keypad"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    prior = keypad_prior()
    overlap = prior.overlap()[~np.eye(10, dtype=bool)].max()
    print(f"largest overlap of two classes: {overlap:.2f}")
    evaluation.prior_figure(prior, NAMES).savefig(options.out / "prior.png")

    data = tfssvae.data.load("digits", labels_per_class=10, seed=0)
    model = train_with(prior, data, options.epochs)
    accuracy = model.evaluate(data.test(), verbose=0, return_dict=True)["accuracy"]
    print(f"accuracy on {len(data.x_test)} test images: {accuracy:.1%}")

    at_keys = evaluation.decode_codes(model, prior.mean)
    shown = model.predict(at_keys, verbose=0).argmax(axis=1)
    print(f"digits that the images at the ten keys show: {' '.join(map(str, shown))}")
    draw_plane(model, data, options.out)


if __name__ == "__main__":
    main()
