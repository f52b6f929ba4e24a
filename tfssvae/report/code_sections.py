"""What a report shows of codes: their layers, their plane, and what each class is decoded to."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfssvae import evaluation
from tfssvae.evaluation.model_names import model_name
from tfssvae.report.page import Section
from tfssvae.report.run import Run
from tfssvae.runs import has_labels

MOST_CODES = 2000
"""Test examples in a picture of the codes."""

PerRun = Callable[..., Section]
"""(title, meaning, alt, draw, chosen runs) -> a section with a picture of each run."""


def code_sections(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    """Return the sections about codes, without those that need what the runs do not have.

    Args:
        runs: one run, or several on the same data.
        per_run: see `PerRun`.
    """
    data = runs[0].data
    if len(data.input_shape) == 3:
        yield from _decoded_classes(runs, per_run)
    if not runs[0].part or runs[0].y is None:
        return
    if len(runs[0].x) == 1:
        return  # one code has no components, and spans no plane
    rows = evaluation.choose_rows(len(runs[0].x), MOST_CODES)
    x, y = runs[0].x[rows], runs[0].y[rows]
    yield from _layers(runs, x, y, per_run)
    if len(data.input_shape) == 3:
        yield from _planes(runs, x, y, per_run)


def _decoded_classes(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    """Return the section of runs that saw labels of some classes only (Untapped)."""
    chosen = [run for run in runs if "decoded_as" in run.metrics.get("test", {})]
    if chosen:
        yield per_run(
            "Decoded classes",
            "The image of each class at the mean code of the labelled images, and around it: a "
            "class without labels is free to become anything, and what it became is named by a "
            "logistic regression on all training images.",
            "Image of each class",
            lambda run: evaluation.decoded_classes_figure(run.model, run.data, run.metrics["test"]),
            chosen,
        )


def _layers(runs: Sequence[Run], x, y, per_run: PerRun) -> Iterator[Section]:
    """Return the sections of runs with several layers of codes (CaGeM, LVAE)."""
    layered = [run for run in runs if hasattr(run.model, "latent_dims")]
    if not layered:
        return
    names = runs[0].data.class_names

    def draw(run: Run, labels, coloured: str):
        title = f"{model_name(run.model)}: codes coloured by {coloured}"
        codes = evaluation.code_layers(run.model, x)
        return evaluation.code_layers_figure(codes, labels, names, title)

    if has_labels(y):
        yield per_run(
            "Layers of codes",
            "The first two principal components of each layer of codes, the one next to the image "
            "first: where classes lie apart, the layer says the class.",
            "Principal components of the codes",
            lambda run: draw(run, y, "class"),
            layered,
        )
    clustered = [run for run in layered if not len(run.data.labelled_indices)]
    if clustered:
        yield per_run(
            "Layers of codes by cluster",
            "The same codes in the colours of the clusters that the model found without labels.",
            "Principal components of the codes, by cluster",
            lambda run: draw(run, _predicted(run.model, x), "cluster"),
            clustered,
        )
    if len(runs[0].data.input_shape) == 3:
        yield per_run(
            "Inputs, reconstructions and samples",
            "Test images, what is left of them, and images of codes and classes drawn from the "
            "model: the samples should look as the inputs do.",
            "Inputs, reconstructions and samples",
            lambda run: evaluation.generation_figure(run.model, x),
            layered,
        )


def _planes(runs: Sequence[Run], x, y, per_run: PerRun) -> Iterator[Section]:
    """Return the sections of runs whose top code, beside the class, has two dimensions."""
    decoding = [run for run in runs if hasattr(run.model, "images_of_codes")]
    planes = [run for run in decoding if evaluation.top_codes(run.model, x[:1]).shape[1] == 2]
    if not planes:
        return
    names = runs[0].data.class_names
    deciding = [run for run in planes if hasattr(run.model, "class_logits")]
    if deciding:
        yield per_run(
            "Plane of the top code",
            "Images of equally spaced codes, whose class each code decides, beside the codes of "
            "test images: neighbouring codes should be of one class.",
            "Images on the plane of the top code",
            lambda run: evaluation.code_plane_figure(run.model, x, y, names),
            deciding,
        )
    yield per_run(
        "Plane of each class",
        "Images of equally spaced codes, the class given: along each plane the style changes, "
        "from plane to plane the class.",
        "Images on the plane of each class",
        lambda run: evaluation.class_planes_figure(run.model, x, names),
        planes,
    )


def _predicted(model, x) -> np.ndarray:
    return model.predict(x, batch_size=500, verbose=0).argmax(axis=1)
