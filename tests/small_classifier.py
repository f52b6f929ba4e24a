"""An estimator that fits within a second, and labels that are left out."""

import numpy as np

from tfssvae import SSVAEClassifier


def quick(**arguments):
    """An estimator whose fit costs little more than the tracing of its step."""
    return SSVAEClassifier(
        **{
            "epochs": 40,
            "hidden": (16,),
            "latent_dim": 2,
            "learning_rate": 3e-2,
            "random_state": 0,
            **arguments,
        }
    )


def few_labels(y, per_class=3, seed=0):
    """y with all but a few labels a class replaced by -1."""
    hidden = np.full_like(y, -1)
    rng = np.random.default_rng(seed)
    for k in np.unique(y):
        rows = rng.choice(np.flatnonzero(y == k), per_class, replace=False)
        hidden[rows] = y[rows]
    return hidden
