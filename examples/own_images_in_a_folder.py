"""Own images in a folder: from PNG files to the classes of new pictures.

    python examples/own_images_in_a_folder.py --out runs/own_images

Makes a folder of small PNG files, most of them without a label, trains M2 on it, measures it on
test images and classifies pictures that it has never seen.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import tfssvae

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


# --8<-- [start:folder]
def write_folder(folder: Path) -> None:
    """Write what a folder of your own looks like: few images sorted by hand, many that are not."""
    digits = tfssvae.data.load("digits", labels_per_class=10, seed=0)
    for row, (image, label) in enumerate(zip(digits.x_train, digits.y_train, strict=True)):
        name = "unlabelled" if label < 0 else NAMES[label]
        save_png(image, folder / "train" / name / f"{row:04d}.png")
    new = {int(np.flatnonzero(digits.y_test == k)[0]) for k in range(10)}
    for row, (image, label) in enumerate(zip(digits.x_test, digits.y_test, strict=True)):
        part = folder.parent / "new" if row in new else folder / "test" / NAMES[label]
        save_png(image, part / f"{row:04d}.png")


def save_png(image: np.ndarray, path: Path) -> None:
    """Write a grey image (h, w, 1) uint8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0]).save(path)


# --8<-- [end:folder]


# --8<-- [start:train]
def train_on(data: tfssvae.data.Data, epochs: int) -> keras.Model:
    """Return M2 trained on the labelled and the unlabelled images of the folder."""
    labelled, unlabelled = len(data.labelled_indices), len(data.unlabelled_indices)
    steps = epochs * -(-unlabelled // 200)
    pixels = int(np.prod(data.input_shape))
    model = tfssvae.models.M2(
        data.input_shape,
        data.num_classes,
        hidden=(256, 256),
        weights=tfssvae.models.M2.recommended_weights(labelled, unlabelled, pixels, steps=steps),
    )
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    tfssvae.training.train(
        model, data, epochs=epochs, labelled=min(100, labelled), unlabelled=200, verbose=0
    )
    return model


# --8<-- [end:train]


# --8<-- [start:classify]
def classify(model: keras.Model, paths: list[Path]) -> np.ndarray:
    """Return the class probabilities (n, K) of picture files, read as the training images were."""
    images = [np.asarray(Image.open(path).convert("L"))[..., None] for path in paths]
    return model.predict(np.stack(images), verbose=0)


# --8<-- [end:classify]


def draw(paths: list[Path], probabilities: np.ndarray, names: tuple[str, ...]) -> Figure:
    """Draw each picture with its most likely class."""
    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained")
    for axes, path, row in zip(figure.subplots(2, 5).flat, paths, probabilities, strict=True):
        axes.imshow(Image.open(path), cmap="gray")
        axes.set_title(f"{names[row.argmax()]}  {row.max():.0%}", fontsize=11)
        axes.axis("off")
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Make the folder, train, measure, and classify the new pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("runs/own_images"))
    options = parser.parse_args(arguments)

    write_folder(options.out / "images")

    data = tfssvae.data.load(options.out / "images")
    print(data.summary())

    model = train_on(data, options.epochs)
    accuracy = model.evaluate(data.test(), verbose=0, return_dict=True)["accuracy"]
    print(f"accuracy on {len(data.x_test)} test images: {accuracy:.1%}")

    paths = sorted((options.out / "new").glob("*.png"))
    probabilities = classify(model, paths)
    for path, row in zip(paths, probabilities, strict=True):
        print(f"{path.name}: {data.class_names[row.argmax()]} ({row.max():.0%})")
    draw(paths, probabilities, data.class_names).savefig(options.out / "new.png")
    model.save(options.out / "model.keras")


if __name__ == "__main__":
    main()
