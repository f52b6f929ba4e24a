"""What a report says of one run, or of several side by side."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tfssvae import evaluation
from tfssvae.checks import InputError
from tfssvae.data import Data
from tfssvae.evaluation.curves import ACCURACY, BOUND
from tfssvae.evaluation.history import HIDDEN_DIVERGENCE, INFORMATION, logged_quantities
from tfssvae.report.code_sections import PerRun, code_sections
from tfssvae.report.latent_sections import latent_sections
from tfssvae.report.page import Picture, Section
from tfssvae.report.run import Run
from tfssvae.report.tables import figures_table, summary
from tfssvae.runs import has_labels

_RECONSTRUCTED = 20
_STYLES = 8  # images whose style is shown

Say = Callable[[str], None]


def title(runs: Sequence[Run]) -> str:
    """Return the title of the page: models and data."""
    return f"{' and '.join(run.name for run in runs)} on {runs[0].data.name}"


def lead(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each run: what it had, what it took, how good it is."""
    lines = []
    for run in runs:
        data = run.data
        line = (
            f"{run.name}: {len(data.labelled_indices):,} of {len(data.x_train):,} training labels "
            f"shown, {run.config['epochs']:,} epochs in {run.metrics['seconds']:,.0f} s"
        )
        if "accuracy" in run.figures:
            line += f"; test accuracy {run.figures['accuracy']:.2%}"
            if "labels_alone" in run.metrics:
                alone = run.metrics["labels_alone"]["accuracy"]
                line += f", the same classifier trained on the labels alone {alone:.2%}"
        lines.append(f"{line}.")
    return lines


def sections(runs: Sequence[Run], say: Say) -> Iterator[Section]:
    """Return the sections of the page, without those that need what the runs do not have.

    Args:
        runs: one run, or several on the same data.
        say: receives a line for people where something takes long or is left out.
    """
    several, data = len(runs) > 1, runs[0].data
    yield Section(
        "Summary", "What was asked for, and with what it was done.", [summary(runs)], wide=several
    )

    def per_run(title: str, meaning: str, alt: str, draw: Callable[[Run], Any], chosen=runs):
        pictures = [
            Picture(partial(draw, run), f"{alt} of {run.name}", run.name if several else "")
            for run in chosen
        ]
        return Section(title, meaning, pictures, wide=several)

    if data.x_test is not None:
        yield Section(
            "Test figures",
            f"Measured on {len(data.x_test):,} test examples that training never saw; beside them "
            "the same classifier trained on the shown labels alone.",
            [figures_table(runs)],
            wide=several,
        )
    yield from _curves(runs)
    if has_labels(data.y_test):
        yield per_run(
            "Confusion",
            "How many test examples of each true class (rows) are taken for each class (columns).",
            "Confusion matrix",
            lambda run: evaluation.confusion_figure(
                evaluation.confusion_matrix(data.y_test, run.probs, data.num_classes),
                data.class_names,
            ),
        )
        yield per_run(
            "Calibration",
            "Whether examples of which the model is 80% sure are right 80% of the time: bars on "
            "the diagonal are honest, bars below it too sure.",
            "Reliability diagram",
            lambda run: evaluation.calibration_figure(run.probs, data.y_test),
        )
    if data.x_test is not None:
        maps = _maps(runs, say)
        if maps:
            yield per_run(
                "Feature map",
                "t-SNE of the classifier's penultimate layer: neighbours look alike to the "
                "classifier, and classes in groups of their own are easy to tell apart; the size "
                "of a group and the distance between groups mean nothing.",
                "t-SNE map",
                lambda run: maps[run.folder](),
                [run for run in runs if run.folder in maps],
            )
    if len(data.input_shape) == 3:
        yield per_run(
            "Generated images",
            "One class a row; each column has one latent noise, so one style, whatever the class.",
            "Generated images",
            lambda run: evaluation.class_samples_figure(run.model, data.class_names),
        )
        yield from _styles(runs, per_run)
        yield _reconstructions(runs)
    yield from latent_sections(runs, per_run)
    yield from code_sections(runs, per_run)
    if data.x_test is not None:
        yield per_run(
            "Entropy",
            "How unsure the classifier is of each test example: on the left it is sure; what it "
            "gets wrong should be further to the right.",
            "Histogram of the entropy",
            lambda run: evaluation.entropy_figure(run.probs, data.y_test),
        )
        yield per_run(
            "Bound",
            "The evidence lower bound of each test example without its label: how well the model "
            "explains it; examples far to the left are unlike the training data.",
            "Histogram of the bound",
            lambda run: evaluation.bound_figure(run.bounds),
        )


def _curves(runs: Sequence[Run]) -> Iterator[Section]:
    history = _histories(runs)
    logged = logged_quantities(history)
    names = [name for name in logged if name not in (*INFORMATION, HIDDEN_DIVERGENCE)]
    if names:
        yield Section(
            "Learning curves",
            "Everything logged after each epoch; the terms of the loss are weighted, so that they "
            "add up to it.",
            [Picture(partial(_curve, history, name), f"Curve of {name}") for name in names],
            wide=True,
            small=True,
        )
    if all({BOUND, ACCURACY} <= set(run.metrics["history"]) for run in runs):
        yield Section(
            "Bound and accuracy",
            "Validation accuracy against the bound, epoch by epoch: where the line turns level, a "
            "better bound no longer makes a better classifier.",
            [Picture(partial(evaluation.bound_accuracy_figure, history), "Accuracy over bound")],
        )
    if HIDDEN_DIVERGENCE in logged:
        yield Section(
            "Divergence from the hidden labels",
            "How far what the model says of the unlabelled training images is from their labels, "
            "which it does not see: KL(q(y|x) || smoothed label) after each epoch. A line that "
            "stays level is stuck.",
            [Picture(partial(_curve, history, HIDDEN_DIVERGENCE), "Curve of the divergence")],
        )
    names = [name for name in INFORMATION if name in logged]
    if names:
        yield Section(
            "Information during training",
            "How much the predicted class tells of an image and how unsure it is, on average over "
            "batches of unlabelled images: the bound pulls the first down and the second up, which "
            "MIER counters.",
            [Picture(partial(_information, runs, name), f"Curve of {name}") for name in names],
            wide=True,
        )


def _histories(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what `history_figure` takes: the history of the run, or label -> that of each."""
    if len(runs) == 1:
        return runs[0].metrics["history"]
    return {run.name: run.metrics["history"] for run in runs}


def _curve(history: dict[str, Any], name: str) -> Any:
    return evaluation.history_figure(_only(history, name))


def _information(runs: Sequence[Run], name: str) -> Any:
    history = _only(_histories(runs), name)
    return evaluation.information_figure(history, runs[0].data.num_classes)


def _only(history: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a history, or those of several runs, with one quantity."""
    if any(isinstance(value, dict) for value in history.values()):
        return {label: _only(logs, name) for label, logs in history.items()}
    return {key: values for key, values in history.items() if key.removeprefix("val_") == name}


def _styles(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    """Return the section of runs that decode a code and a class."""
    decoding = [run for run in runs if hasattr(run.model, "images_of_codes")]
    if not decoding:
        return
    images = _shown(runs[0].data)
    images = images[evaluation.choose_rows(len(images), _STYLES)]
    yield per_run(
        "Styles",
        "An image, and the image of every class at the mean of its code: a row should keep the "
        "style of its image, a column the class, whatever the image is of.",
        "Every class in the style of an image",
        lambda run: evaluation.style_figure(run.model, images, run.data.class_names),
        decoding,
    )


def _shown(data: Data) -> NDArray[Any]:
    """Return the images to show: those of the test where there are any."""
    return data.x_train if data.x_test is None else data.x_test


def _reconstructions(runs: Sequence[Run]) -> Section:
    shown = _shown(runs[0].data)[:_RECONSTRUCTED]
    models: Any = {run.name: run.model for run in runs} if len(runs) > 1 else runs[0].model
    return Section(
        "Reconstructions",
        "Images, and what is left of each after it passed the latent code.",
        [Picture(partial(evaluation.reconstruction_figure, models, shown), "Reconstructions")],
        wide=len(runs) > 1,
    )


def _maps(runs: Sequence[Run], say: Say) -> dict[Path, Callable[[], Any]]:
    """Return what draws the map of each run that has one; t-SNE is done once."""
    maps: dict[Path, Callable[[], Any]] = {}
    for run in runs:
        x, y = run.data.x_test, run.data.y_test
        assert x is not None and y is not None  # noqa: PT018 - for mypy
        rows = evaluation.choose_rows(len(x))
        say(f"{run.name}: t-SNE of {len(rows):,} test examples")
        try:
            points = evaluation.tsne(evaluation.classifier_features(run.model, x[rows]))
        except InputError as error:
            say(f"no feature map: {error}")
            continue
        maps[run.folder] = partial(
            evaluation.embedding_figure, points, y[rows], run.data.class_names
        )
    return maps
