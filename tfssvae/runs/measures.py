"""The figures of a trained model on the data of its run."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfssvae import evaluation
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.data.pipeline import training_order
from tfssvae.models.supervised import labels_alone
from tfssvae.runs.build import MIN_STEPS, make_optimizer
from tfssvae.runs.folder import load_run
from tfssvae.training import (
    PartOptimizer,
    train,
)

EVALUATION_BATCH = 500


def measure(model: SemiSupervisedVAE, data: Data, part: str = "test") -> dict[str, Any]:
    """Return accuracy, calibration, bounds and latent space on test or validation rows.

    Rows without any label have no accuracy and no calibration. Where the model saw no label,
    "clustering_accuracy" says what its classes are worth as clusters; where it saw labels of some
    classes only, `evaluation.free_class_report` says what the others became. The figures of a Mean
    Teacher stand beside the model's own, "teacher_accuracy" and "teacher_error".
    """
    batches = getattr(data, part)(EVALUATION_BATCH)
    x = data.x_test if part == "test" else data.x_validation
    y = data.y_test if part == "test" else data.y_validation
    probabilities = model.predict(x, batch_size=EVALUATION_BATCH, verbose=0)
    report: dict[str, Any] = {}
    if has_labels(y):
        report = evaluation.classification_report(probabilities, y, data.class_names)
        if not len(data.labelled_indices):
            clusters = probabilities.argmax(axis=1)
            report["clustering_accuracy"] = evaluation.clustering_accuracy(y, clusters)
        report |= evaluation.teacher_report(model, x, y)
    report["entropy"] = float(np.mean(evaluation.class_entropy(probabilities)))
    report["mutual_information"] = float(evaluation.class_information(probabilities))
    objective = model.evaluate(batches, verbose=0, return_dict=True)
    bounds = {
        name.removeprefix("monitor/"): float(value)
        for name, value in objective.items()
        if name.endswith("_bound")
        and "unfeatured" not in name  # test data are examples
        and (has_labels(y) or name != "monitor/labelled_bound")
    }
    # Where a term has a weight, its value without it is logged beside its contribution.
    terms = {name: objective.get(f"monitor/{name}", value) for name, value in objective.items()}
    seen = np.concatenate([images.numpy() for images, _ in batches])
    return {
        **report,
        **bounds,
        **evaluation.latent_report(model, x, y),
        **evaluation.layer_report(model, seen, terms),
        **evaluation.free_class_report(model, data, x, y),
    }


def has_labels(y: np.ndarray | None) -> bool:
    """Whether there is something to compare predictions with: a label other than -1."""
    return y is not None and bool((y >= 0).any())


def log_likelihood(
    model: SemiSupervisedVAE, data: Data, num_samples: int, seed: int, verbose: int = 1
) -> float:
    """Return the mean importance-weighted bound on log p(x) of the test images, nats.

    The images are those of `Data.test`: dynamic binarisation becomes one fixed draw.
    """
    if data.x_test is None:
        raise InputError(f"{data.name} has no test data to estimate log p(x) on")
    x = np.concatenate([images.numpy() for images, _ in data.test(EVALUATION_BATCH)])
    return float(np.mean(model.log_likelihood(x, num_samples, seed=seed, verbose=verbose)))


def inception_score(
    model: SemiSupervisedVAE, judge: Path, images: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Return `evaluation.inception_score` of generated images, as many of every class.

    Args:
        model: the method that generates.
        judge: run folder of the model that classifies.
        images: how many are generated.
        seed: of the generated images.

    Raises:
        InputError: the judge takes images of another shape.
    """
    judging, data = load_run(judge)
    if judging.example_shape != model.example_shape:
        raise InputError(
            f"{judge} judges images of shape {judging.example_shape}, not {model.example_shape}"
        )
    labels = np.arange(images) % model.num_classes
    parts = range(0, images, EVALUATION_BATCH)
    generated = [
        model.generate(labels[first : first + EVALUATION_BATCH], seed + first) for first in parts
    ]
    return evaluation.inception_score(
        np.concatenate(generated),
        partial(judging.predict, batch_size=EVALUATION_BATCH, verbose=0),
        f"{type(judging).__name__} trained on {data.name} ({judge})",
    )


def baseline(model: SemiSupervisedVAE, data: Data, config: dict[str, Any]) -> dict[str, Any]:
    """Train the same classifier on the labels alone, until it can learn no more from them."""
    baseline = labels_alone(model)
    optimizer = make_optimizer(config)
    if isinstance(optimizer, PartOptimizer):
        optimizer = optimizer.of("classifier")
    baseline.compile(optimizer)
    order = training_order(data, config["labelled"], 0)
    epochs = -(-MIN_STEPS // order.steps_per_epoch)
    train(baseline, data, epochs, config["labelled"], 0, jit_compile=False, verbose=0)
    return evaluation.classification_report(
        baseline.predict(data.x_test, batch_size=EVALUATION_BATCH, verbose=0),
        data.y_test,
        data.class_names,
    )
