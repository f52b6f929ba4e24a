"""Which digits the classes without labels become: Untapped's experiment with labels for 0 to 4.

Trains with and without labels that have no image, and prints the cross-entropy and the accuracy on
5 to 9 after the classes are permuted as in the paper (section 3).

    python benchmarks/free_classes.py --data digits --epochs 150 --seeds 0 1 2
"""

import argparse
import time

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

import tfssvae

LABELLED, FREE = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]


def main():
    """Print a line for each seed, with and without the reverse bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sampling", default="gumbel_softmax")
    parser.add_argument("--image-sampling", default="detached")
    options = parser.parse_args()
    choices = {"sampling": options.sampling, "image_sampling": options.image_sampling}
    for seed in options.seeds:
        data = tfssvae.data.load(
            options.data,
            labelled_classes=LABELLED,
            seed=seed,
            binarize="fixed",
            unfeatured="classes",
        )
        judge = LogisticRegression(max_iter=2000).fit(_flat(data.x_train), data.hidden_labels)
        for name, weights in (
            ("with", {}),
            ("without", {"unfeatured_*": 0.0, "labelled_distance": 0.0}),
        ):
            started = time.time()
            model = tfssvae.models.Untapped(
                data.input_shape, 10, weights=weights, seed=seed, **choices
            )
            model.compile(keras.optimizers.Adam(1e-2, epsilon=1e-4, clipvalue=1.0))
            tfssvae.training.train(model, data, options.epochs, jit_compile=False, verbose=0)
            says = judge.predict_proba(_flat(decoded_classes(model, data)))
            free = data.y_test >= len(LABELLED)
            predicted = model.predict(data.x_test[free], verbose=0)[:, digit_to_class(says)]
            y = data.y_test[free]
            loss = -np.log(np.maximum(predicted[np.arange(len(y)), y], 1e-30)).mean()
            accuracy = (predicted.argmax(1) == y).mean()
            print(
                f"seed {seed} {name}: cross-entropy {loss:.2f} nats, accuracy {accuracy:.1%}, "
                f"{len(set(says.argmax(1)))} distinct digits, {time.time() - started:.0f} s",
                flush=True,
            )


def _flat(x):
    scale = 255 if x.dtype == np.uint8 else 1
    return x.reshape(len(x), -1) / scale


def decoded_classes(model, data):
    """Return the image of each class at the mean code of the labelled images."""
    code = model.encode(data.x_train[data.labelled_indices]).mean(0)
    y = np.eye(10, dtype="float32")
    return model.likelihood.mean(model.decode(np.tile(code, (10, 1)), y)).numpy()


def digit_to_class(says):
    """Return the class that stands for each digit, given p(digit|image of the class), (10, 10).

    The surest free class chooses first; classes whose digit is taken get the digits left over.
    """
    free = says[np.ix_(FREE, FREE)]
    surest = [FREE[i] for i in np.argsort(-free.max(1))]
    found = {}
    for k in surest:
        found.setdefault(FREE[int(free[k - len(LABELLED)].argmax())], k)
    rest = [k for k in surest if k not in found.values()]
    left = [digit for digit in FREE if digit not in found]
    found.update(zip(left, rest, strict=True))
    return LABELLED + [found[digit] for digit in FREE]


if __name__ == "__main__":
    main()
