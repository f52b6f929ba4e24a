"""The pictures of a run."""

from pathlib import Path
from typing import Any

import numpy as np

from tfssvae import evaluation
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.runs.measures import EVALUATION_BATCH, has_labels

_MOST_CODES = 2000  # points of a picture of the latent space


def draw(folder: Path, model, data: Data, metrics: dict[str, Any]) -> None:
    """Write the pictures that suit the model and its data, as PNG."""
    folder.mkdir(exist_ok=True)
    shown = data.x_test if data.x_test is not None else data.x_train
    figures = {"history": evaluation.history_figure(metrics["history"])}
    if len(data.input_shape) == 3:
        figures["reconstructions"] = evaluation.reconstruction_figure(model, shown[:16])
        figures["samples"] = evaluation.class_samples_figure(model, data.class_names)
        if "decoded_as" in metrics.get("test", {}):
            figures["classes"] = evaluation.decoded_classes_figure(model, data, metrics["test"])
    if has_labels(data.y_test):
        probabilities = model.predict(data.x_test, batch_size=EVALUATION_BATCH, verbose=0)
        matrix = evaluation.confusion_matrix(data.y_test, probabilities, data.num_classes)
        figures["confusion"] = evaluation.confusion_figure(matrix, data.class_names)
        figures["calibration"] = evaluation.calibration_figure(probabilities, data.y_test)
        if hasattr(model, "components") and model.latent_dim > 1:
            x, y = shown[:_MOST_CODES], np.asarray(data.y_test)[:_MOST_CODES]
            figures["latent"] = evaluation.latent_scatter_figure(model, x, y, data.class_names)
        if hasattr(model, "latent_dims") and len(shown) > 1:
            rows = evaluation.choose_rows(len(shown), _MOST_CODES)
            codes, y = evaluation.code_layers(model, shown[rows]), np.asarray(data.y_test)[rows]
            figures["codes"] = evaluation.code_layers_figure(codes, y, data.class_names)
    for name, figure in figures.items():
        evaluation.save_figure(figure, folder / f"{name}.png")


def save_samples(model: SemiSupervisedVAE, path: Path, class_names, per_class: int, seed: int):
    """Write a picture of class-conditional samples, a row per class."""
    figure = evaluation.class_samples_figure(model, class_names, per_class=per_class, seed=seed)
    evaluation.save_figure(figure, path)
