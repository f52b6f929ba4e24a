"""Few labels in a table of numbers: SSVAEClassifier beside a classifier on the labels alone.

    python examples/few_labels_in_a_table.py

Of 426 tumours only three of each kind have a known diagnosis; -1 marks the others, as in
`sklearn.semi_supervised`.
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from tfssvae import SSVAEClassifier
from tfssvae.layers import GaussianLikelihood

LABELS_PER_CLASS = 3


def main(arguments: list[str] | None = None) -> None:
    """Train both and print their accuracies on tumours that neither has seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=150)
    options = parser.parse_args(arguments)

    # --8<-- [start:labels]
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, stratify=y, random_state=0)

    # Hide all but a few labels: this is what the data look like when labels are expensive.
    rng = np.random.default_rng(0)
    known = np.concatenate(
        [
            rng.choice(np.flatnonzero(y_train == k), LABELS_PER_CLASS, replace=False)
            for k in range(2)
        ]
    )
    labels = np.full_like(y_train, -1)
    labels[known] = y_train[known]
    # --8<-- [end:labels]

    # --8<-- [start:fit]
    alone = make_pipeline(MinMaxScaler(), LogisticRegression()).fit(x_train[known], y_train[known])
    print(f"labels alone:             {alone.score(x_test, y_test):.1%}")

    # A pass over 420 unlabelled rows is three steps: hence the many epochs. The numbers of a table
    # are not pixels: a Gaussian with a small variance says how closely they are to be explained.
    clf = SSVAEClassifier(
        epochs=options.epochs,
        latent_dim=5,
        hidden=(64,),
        method_args={"likelihood": GaussianLikelihood(variance=0.02)},
        random_state=0,
    )
    clf.fit(x_train, labels)
    # --8<-- [end:fit]
    print(f"with the unlabelled rows: {clf.score(x_test, y_test):.1%}")
    print(f"latent codes:             {clf.transform(x_test).shape}")


if __name__ == "__main__":
    main()
