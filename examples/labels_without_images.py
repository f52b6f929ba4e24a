"""Labels without images: Untapped learns of ten digits, of which it has seen five with a label.

    python examples/labels_without_images.py --out runs/labels_without_images

Images of 0 to 4 are labelled. Of 5 to 9 there are images without labels, and labels without images:
that these classes exist, and how often. A class that no image is labelled with may become any of
them; afterwards each is named by what its image shows.
"""

import argparse
from pathlib import Path

import keras

import tfssvae
from tfssvae import evaluation


# --8<-- [start:data]
def load(unfeatured: str | None = "classes") -> tfssvae.data.Data:
    """Return the digits with labels of 0 to 4, and every class once as a label without an image."""
    return tfssvae.data.load(
        "digits", labelled_classes=[0, 1, 2, 3, 4], binarize="round", unfeatured=unfeatured
    )


# --8<-- [end:data]


# --8<-- [start:train]
def train_on(data: tfssvae.data.Data, epochs: int) -> tfssvae.models.Untapped:
    """Return Untapped trained on images with labels, images without, and labels without images."""
    # Without such labels the whole reverse model is left out: this is M2.
    weights = {} if data.unfeatured is not None else {"labelled_distance": 0.0}
    model = tfssvae.models.Untapped(data.input_shape, data.num_classes, weights=weights)
    # The paper's optimizer: a reverse bound has steep gradients at first.
    model.compile(keras.optimizers.Adam(1e-2, epsilon=1e-4, clipvalue=1.0), metrics=["accuracy"])
    tfssvae.training.train(
        model, data, epochs=epochs, labelled=120, unlabelled=120, unfeatured=240, verbose=0
    )
    return model


# --8<-- [end:train]


# --8<-- [start:report]
def describe(model: tfssvae.models.Untapped, data: tfssvae.data.Data) -> dict:
    """Print what became of the classes without labels, and return the report."""
    report = evaluation.free_class_report(model, data, data.x_test, data.y_test)
    print(f"  accuracy on 5 to 9:      {report['free_accuracy']:.1%}")
    print(f"  cross-entropy on 5 to 9: {report['free_cross_entropy']:.2f} nats")
    print(f"  classes are decoded to:  {' '.join(report['decoded_as'].values())}")
    known = data.y_test < 5
    accuracy = model.evaluate(data.x_test[known], data.y_test[known], verbose=0, return_dict=True)
    print(f"  accuracy on 0 to 4:      {accuracy['accuracy']:.1%}")
    return report


# --8<-- [end:report]


def main(arguments: list[str] | None = None) -> None:
    """Train with and without such labels, name the classes, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("runs/labels_without_images"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    data = load()
    print(data.summary())
    for name, unfeatured in {"without such labels": None, "with them": "classes"}.items():
        print(name)
        data = load(unfeatured)
        model = train_on(data, options.epochs)
        report = describe(model, data)
    evaluation.decoded_classes_figure(model, data, report).savefig(options.out / "classes.png")


if __name__ == "__main__":
    main()
