"""EXoN's experiments: Tables 1, 2 and 3 of An, Choi and Jeon, with the settings of appendix A.4.

32 labelled and 96 unlabelled images a step, as in the authors' code, and as there two Adams: one of
the encoder and the decoder with a constant rate, one of the classifier with a rate that falls and
decoupled weight decay 5e-4. MNIST: 100 epochs, 0.003, the classifier's falls from the 10th epoch
on. CIFAR-10: 600 epochs, 0.001, the classifier's a tenth after each of 250, 350, 450 and 550
epochs, and a fall in the last 50. Fewer epochs shrink every schedule in proportion.

Of Table 1 only EXoN's own row is here: it gives no settings of the other methods. The Inception
Score needs a network trained on ImageNet, and is left out.
"""

from functools import partial
from typing import Any

import keras

from tfssvae.layers import Chain, RandomCrop, RandomFlip, RandomRotation
from tfssvae.models.exon import classification_weight, paper_consistency
from tfssvae.part_optimizer import PartOptimizer
from tfssvae.recipes.table import Config, Row, Table
from tfssvae.schedules import ramp_down

LABELLED, UNLABELLED = 32, 96
WEIGHT_DECAY = 5e-4
DATA: dict[str, Config] = {"mnist": {"name": "mnist"}, "cifar10": {"name": "cifar10"}}
EPOCHS = {"mnist": 100, "cifar10": 600}
LAMBDA_1 = {"mnist": 6000.0, "cifar10": 5000.0}
WARM_UP_EPOCHS = {"mnist": 10, "cifar10": 50}
LABELS_PER_CLASS = {"mnist": 10, "cifar10": 400}
DROPS = (250, 350, 450, 550)  # of CIFAR-10
AUTOMOBILE = 1  # the class whose activated units Table 2 counts

# Table 2: error in per cent and cardinality of A_k(1) with 4000 labels, by beta.
_CIFAR10 = {
    0.01: (7.45, 189.2),
    0.05: (7.27, 114.6),
    0.1: (7.51, 82.8),
    0.5: (8.18, 36.0),
    1.0: (9.50, 22.0),
}
# Table 3: negative SSIM, KL to the prior in nats and error in per cent with 100 labels, by beta.
_MNIST = {
    0.1: (0.430, 19.654, 3.29),
    0.25: (0.438, 9.654, 3.23),
    0.5: (0.440, 8.481, 3.25),
    0.75: (0.445, 7.684, 3.33),
    1.0: (0.435, 6.750, 3.46),
    5.0: (0.439, 4.064, 3.74),
    10.0: (0.418, 2.729, 4.07),
    50.0: (0.316, 1.855, 3.38),
}


def settings(data: str, beta: float, steps_per_epoch: int, epochs: int) -> Config:
    """Return the paper's settings of one model for a run of so many epochs.

    Args:
        data: "mnist" or "cifar10".
        beta: variance of the decoder.
        steps_per_epoch: steps in one pass over the unlabelled images.
        epochs: of the run; the schedules shrink with it.
    """
    per_epoch = steps_per_epoch * epochs / EPOCHS[data]

    def after(published_epochs: int) -> int:
        return max(1, round(published_epochs * per_epoch))

    consistency = paper_consistency(beta, LAMBDA_1[data], steps=after(WARM_UP_EPOCHS[data]))
    model: Config = {
        "beta": beta,
        "weights": {"classification": classification_weight(beta, LAMBDA_1[data])},
        "regularizers": _serialized([consistency]),
    }
    if data == "mnist":
        rate, falling = 0.003, ramp_down(0.003, begin=after(10), steps=after(100))
        changes: list = [RandomRotation(25.0), RandomCrop(4)]
    else:
        rate, boundaries = 0.001, [after(epoch) for epoch in DROPS]
        rates = [rate * 0.1**drops for drops in range(len(DROPS) + 1)]
        steps = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
        falling = ramp_down(steps, begin=after(550), steps=after(50), origin=after(550))
        changes = [RandomFlip(), RandomCrop(2)]
        model |= {"backbone": "conv", "latent_dim": 256}
    model["augment"] = _serialized(Chain(changes))
    classifier = keras.optimizers.Adam(falling, weight_decay=WEIGHT_DECAY)
    optimizer = PartOptimizer(keras.optimizers.Adam(rate), {"classifier": classifier})
    return {
        "method": "exon",
        "model": model,
        "default_weights": "paper",
        "optimizer": _serialized(optimizer),
        "labelled": LABELLED,
        "unlabelled": UNLABELLED,
    }


def _serialized(value) -> Any:
    return keras.saving.serialize_keras_object(value)


def _row(data: str, beta: float, figures: dict[str, float]) -> Row:
    return Row(
        name=f"beta={beta:g}",
        title=f"EXoN, beta {beta:g}",
        labels_per_class=LABELS_PER_CLASS[data],
        settings=partial(settings, data, beta),
        published={data: figures},
    )


TABLE_1 = Table(
    title="EXoN, Table 1: error with 4000 labels",
    metrics={"error": "%"},
    rows=[_row("cifar10", 0.01, {"error": _CIFAR10[0.01][0] / 100})],
    data={"cifar10": DATA["cifar10"]},
    epochs=EPOCHS["cifar10"],
)

TABLE_2 = Table(
    title="EXoN, Table 2: activated units of the class automobile, and error, with 4000 labels",
    metrics={f"activated_units_{AUTOMOBILE}": "units", "error": "%"},
    rows=[
        _row("cifar10", beta, {f"activated_units_{AUTOMOBILE}": units, "error": error / 100})
        for beta, (error, units) in _CIFAR10.items()
    ],
    data={"cifar10": DATA["cifar10"]},
    epochs=EPOCHS["cifar10"],
)

TABLE_3 = Table(
    title="EXoN, Table 3: diversity, divergence from the prior, and error, with 100 labels",
    metrics={"negative_ssim": "of 1", "kl_to_prior": "nats", "error": "%"},
    rows=[
        _row("mnist", beta, {"negative_ssim": ssim, "kl_to_prior": kl, "error": error / 100})
        for beta, (ssim, kl, error) in _MNIST.items()
    ],
    data={"mnist": DATA["mnist"]},
    epochs=EPOCHS["mnist"],
)
