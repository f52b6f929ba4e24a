"""CaGeM's experiments: Tables 1 to 3 and Figure 4 of Maaloe et al. (2017), settings of section 5.

CaGeM-N has N labels in all, as many of each class. log p(x) is bounded with 5000 importance samples
on the test images, dynamically binarised (one draw of each). Three settings are not in the paper:
the number of epochs and the sizes of batches are ours, and beta = 0.1 is that of the papers it
follows. Fewer epochs shrink every schedule in proportion.

VAE, IWAE and LVAE are baselines to train for as many epochs: CaGeM's z1 and networks with one
layer of codes, and LVAE with both layers. Those that the paper cites have more layers, and other
networks, and so no figure of theirs is beside them. LVAE has K classes, none of them ever labelled.

"omniglot" is an omniglot.npz in the data folder: x_*, y_* with the alphabets as labels. The paper's
edition of it (28 x 28, a random split) has all 50 alphabets in both parts.
"""

from functools import partial
from typing import Any

import keras

from tfssvae.recipes.table import Config, Row, Table
from tfssvae.schedules import linear_ramp

EPOCHS = 500
WARM_UP_EPOCHS = 100  # of the temperature of the divergences, for likelihoods only
BATCH = 100
LIKELIHOOD_SAMPLES = 5000
FIGURE_SAMPLES = (1, 10, LIKELIHOOD_SAMPLES)

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "cagem": {"latent_dims": [64, 32], "hidden": [1024, 512]},
    "vae": {"latent_dim": 64, "hidden": [1024, 512]},
    "iwae": {"latent_dim": 64, "hidden": [1024, 512], "importance_samples": 50},
    "lvae": {"latent_dims": [64, 32], "hidden": [1024, 512]},
    # The published code of Maaloe et al. (2016), which the paper ran.
    "adgm": {"latent_dim": 100, "auxiliary_dim": 100, "hidden": [500, 500], "batch_norm": True},
    "sdgm": {"latent_dim": 100, "auxiliary_dim": 100, "hidden": [500, 500], "batch_norm": True},
}
TITLES = {"cagem": "CaGeM", "iwae": "IWAE, 50 samples"}
# Learning rate of Adam, and the epochs after which it is multiplied by 0.75.
RATE, AUTHORS_RATE = (1e-3, 50), (3e-4, 200)
RATES = {"adgm": AUTHORS_RATE, "sdgm": AUTHORS_RATE}
DATA: dict[str, Config] = {
    name: {"name": name, "binarize": "dynamic"} for name in ("mnist", "omniglot")
}

# Table 1: bound on log p(x), nats.
_LIKELIHOOD = {
    "cagem@0-k20": -82.18,
    "cagem@0": -81.60,
    "cagem@20": -81.47,
    "cagem@50": -80.49,
    "cagem@100": -79.38,
    "adgm@100": -86.06,  # section 6
}
# Table 2: test error in per cent.
_ERROR = {
    "sdgm@100": 1.32,
    "adgm@100": 0.96,
    "cagem@20": 15.86,
    "cagem@50": 2.42,
    "cagem@100": 1.16,
}


def settings(
    method: str, warm_up: bool, samples: tuple[int, ...], steps_per_epoch: int, epochs: int
) -> Config:
    """Return the paper's settings of one model for a run of so many epochs.

    Args:
        method: "cagem", "adgm", "sdgm", "vae", "iwae" or "lvae".
        warm_up: whether the divergences have a temperature at first.
        samples: numbers of importance samples to estimate log p(x) with.
        steps_per_epoch: steps in one pass over the unlabelled images.
        epochs: of the run; the schedules shrink with it.
    """
    steps_per_published_epoch = steps_per_epoch * epochs / EPOCHS
    initial_rate, decay_epochs = RATES.get(method, RATE)
    rate = keras.optimizers.schedules.ExponentialDecay(
        initial_rate,
        max(1, round(decay_epochs * steps_per_published_epoch)),
        decay_rate=0.75,
        staircase=True,
    )
    serialize = keras.saving.serialize_keras_object
    model = dict(ARCHITECTURES[method])
    if warm_up:  # a VAE needs none: it has one layer of codes
        temperature = linear_ramp(1.0, max(1, round(WARM_UP_EPOCHS * steps_per_published_epoch)))
        model["weights"] = {"*_kl_z*": serialize(temperature)}
    return {
        "method": "vae" if method == "iwae" else method,
        "model": model,
        "default_weights": "paper",
        "learning_rate": serialize(rate),
        "labelled": BATCH,
        "unlabelled": BATCH,
        "likelihood_samples": list(samples),
    }


def _row(name: str, published, warm_up: bool = True, samples=(LIKELIHOOD_SAMPLES,)) -> Row:
    method, _, rest = name.partition("@")
    labels, *clusters = rest.split("-k")
    title = TITLES.get(method, method.upper()) + (f"-{labels}" if labels else "")
    return Row(
        name=name,
        title=f"{title}, K={clusters[0]}" if clusters else title,
        labels_per_class=None,
        labels=int(labels or 0),
        settings=partial(settings, method, warm_up, samples),
        published=published,
        data={"clusters": int(clusters[0])} if clusters else {},
    )


def _likelihood(data: str, figure: float):
    return {data: {f"log_likelihood_{LIKELIHOOD_SAMPLES}": figure}}


_BASELINES = [_row(name, {}, warm_up=name == "lvae") for name in ("vae", "iwae", "lvae")]

TABLE_1 = Table(
    title="CaGeM, Table 1: bound on log p(x) of MNIST, permutation invariant",
    metrics={f"log_likelihood_{LIKELIHOOD_SAMPLES}": "nats"},
    rows=[
        *(_row(name, _likelihood("mnist", figure)) for name, figure in _LIKELIHOOD.items()),
        *_BASELINES,
    ],
    data={"mnist": DATA["mnist"]},
    epochs=EPOCHS,
)

TABLE_2 = Table(
    title="CaGeM, Table 2: test error with 20, 50 and 100 labels",
    metrics={"error": "%"},
    rows=[
        _row(name, {"mnist": {"error": figure / 100}}, warm_up=False, samples=())
        for name, figure in _ERROR.items()
    ],
    data={"mnist": DATA["mnist"]},
    epochs=EPOCHS,
)

TABLE_3 = Table(
    title="CaGeM, Table 3: bound on log p(x) of OMNIGLOT, alphabets as clusters",
    metrics={f"log_likelihood_{LIKELIHOOD_SAMPLES}": "nats"},
    rows=[_row("cagem@500", _likelihood("omniglot", -100.86)), *_BASELINES],
    data={"omniglot": DATA["omniglot"]},
    epochs=EPOCHS,
)

# The figure's bounds with 1 and 10 samples are drawn, not printed.
FIGURE_4 = Table(
    title="CaGeM, Figure 4: bounds on log p(x) of MNIST with 1, 10 and 5000 samples",
    metrics={f"log_likelihood_{samples}": "nats" for samples in FIGURE_SAMPLES},
    rows=[
        _row(name, _likelihood("mnist", _LIKELIHOOD[name]), samples=FIGURE_SAMPLES)
        for name in ("cagem@0", "cagem@20", "cagem@50", "cagem@100")
    ],
    data={"mnist": DATA["mnist"]},
    epochs=EPOCHS,
)
