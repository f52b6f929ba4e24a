"""What a report says of one run, or of several side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import evaluation
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.evaluation.charts import FEW_ROWS
from tfssvae.evaluation.codes import ACTIVE_VARIANCE
from tfssvae.evaluation.mistakes import Mistake
from tfssvae.evaluation.units import Units
from tfssvae.report.code_sections import PerRun, code_sections
from tfssvae.report.curve_sections import curve_sections
from tfssvae.report.latent_sections import latent_sections
from tfssvae.report.page import Code, Gallery, Picture, Section, Shown, Table
from tfssvae.report.run import Run
from tfssvae.report.tables import (
    balance,
    class_table,
    figures_table,
    likelihood_table,
    percent,
    summary,
)
from tfssvae.runs import has_labels
from tfssvae.runs.command import command_of

_RECONSTRUCTED = 20
_STYLES = 8  # images whose style is shown
_MOST_MAPPED = 1000  # codes whose t-SNE takes a few seconds

Say = Callable[[str], None]


def sections(run: Run, say: Say) -> Iterator[Section]:
    """Return the sections of the report of a run, without those that need what it does not have.

    Args:
        run: the run.
        say: receives a line for people where something takes long or is left out.
    """
    yield from _in("Summary", _overview(run))
    histories = {run.name: [run.metrics["history"]]}
    yield from _in("Training", curve_sections(histories, run.data, [run.model]))
    yield from picture_sections([run], say)
    yield from _in("Record", _record(run))


def picture_sections(runs: Sequence[Run], say: Say) -> Iterator[Section]:
    """Return the sections with pictures of models and of what they predict.

    Args:
        runs: one run, or several on the same data.
        say: see `sections`.
    """
    runs = [run for run in runs if _predicts_numbers(run)]
    if not runs:
        return
    per_run = partial(_per_run, runs)
    yield from _in("Classification", _classification(runs, per_run, say))
    yield from _in("Images", _images(runs, per_run))
    yield from _in("Latent space", _codes(runs, per_run, say))
    yield from _in("Likelihood", _likelihood(runs, per_run))


def _predicts_numbers(run: Run) -> bool:
    """Whether there is anything to show of a model: after a divergence there is not."""
    if run.part:
        return run.probs is not None
    return bool(np.isfinite(run.model.predict(run.data.x_train[:2], verbose=0)).all())


def _in(chapter: str, sections: Iterator[Section]) -> Iterator[Section]:
    for section in sections:
        yield section._replace(chapter=chapter)


def _per_run(runs: Sequence[Run], title: str, meaning: str, alt: str, draw, chosen=None) -> Section:
    several = len(runs) > 1
    pictures = [
        Picture(partial(draw, run), f"{alt} of {run.name}", run.name if several else "")
        for run in (runs if chosen is None else chosen)
    ]
    return Section(title, meaning, pictures, wide=several)


def _overview(run: Run) -> Iterator[Section]:
    figures = figures_table([run])
    if figures.rows:
        meaning = f"Measured on {len(run.x):,} {run.part} examples that training never saw."
        if len(figures.head) > 2:
            meaning += " Beside them the same classifier trained on the shown labels alone."
        yield Section("Figures", meaning, [figures])
    yield Section(
        "Classes",
        f"{balance(run.data)} Unlabelled examples are counted under the label that the data set "
        "knows and the model does not see. A class with few labels and a low recall is where more "
        "labels help most.",
        [class_table(run)],
    )


def _classification(runs: Sequence[Run], per_run: PerRun, say: Say) -> Iterator[Section]:
    judged = [run for run in runs if run.is_judged]
    if judged:
        yield per_run(
            "Confusion",
            "How many examples of each true class (rows) are taken for each class (columns): a "
            "good classifier has nothing beside the diagonal.",
            "Confusion matrix",
            _confusion,
            judged,
        )
        yield per_run(
            "Calibration",
            "Whether examples of which the model is 80% sure are right 80% of the time: bars that "
            "end on the diagonal are honest; one that ends below it is of predictions that are too "
            "sure, one above it of predictions that are not sure enough. The histogram below says "
            f"how many examples a bar stands for: pale bars have fewer than {FEW_ROWS} "
            "and mean little. The expected calibration error (ECE) is the mean gap over examples, "
            "0 at best.",
            "Reliability diagram",
            lambda run: evaluation.calibration_figure(run.probs, run.y),
            judged,
        )
        yield from _mistakes(judged)
    clustered = [
        run
        for run in runs
        if run.predicts == "clusters" and run.probs is not None and has_labels(run.y)
    ]
    if clustered:
        yield per_run(
            "Clusters and classes",
            "How many examples of each true class (rows) are in each cluster (columns), which the "
            "model found without labels: one full cell in each row and column is a perfect "
            "grouping, whatever the order.",
            "Table of classes and clusters",
            _clusters,
            clustered,
        )
    predicting = [run for run in runs if run.predicts and run.probs is not None]
    if predicting:
        yield per_run(
            "Entropy",
            "How unsure the classifier is of each example: on the left it is sure; what it "
            "gets wrong should be further to the right.",
            "Histogram of the entropy",
            lambda run: evaluation.entropy_figure(run.probs, run.y if run.is_judged else None),
            predicting,
        )
    maps = _feature_maps(predicting, say)
    if maps:
        yield per_run(
            "Feature map",
            "t-SNE of the classifier's penultimate layer: neighbours look alike to the "
            "classifier, and classes in groups of their own are easy to tell apart; the size "
            "of a group and the distance between groups mean nothing.",
            "t-SNE map",
            lambda run: maps[run.folder](),
            [run for run in predicting if run.folder in maps],
        )


def _confusion(run: Run) -> Any:
    matrix = evaluation.confusion_matrix(run.y, run.probs, run.data.num_classes)
    return evaluation.confusion_figure(matrix, run.data.class_names)


def _clusters(run: Run) -> Any:
    figure = _confusion(run)
    figure.axes[0].set(title="Classes and clusters", xlabel="cluster")  # no cluster is correct
    return figure


_MOST_MISTAKES, _FEW_MISTAKES = 24, 8  # of one run, and of each of several
_ALIKE = 4  # mistakes of one class that is taken for one other

_MISTAKES = (
    "The wrong predictions that the model is most sure of, the surest first: the class of each, "
    f"and what the model said with which probability. At most {_ALIKE} of one class taken for one "
    "other are shown, so that there is room for others; how many there are says the confusion "
    "matrix. Look for wrong labels and damaged examples."
)


def _mistakes(runs: Sequence[Run]) -> Iterator[Section]:
    most = _MOST_MISTAKES if len(runs) == 1 else _FEW_MISTAKES
    found = {
        run.name: (run, evaluation.worst_mistakes(run.probs, run.y, most, _ALIKE)) for run in runs
    }
    parts = [
        _mistakes_of(run, mistakes, name if len(runs) > 1 else "")
        for name, (run, mistakes) in found.items()
        if mistakes
    ]
    if parts:
        yield Section("Worst mistakes", _MISTAKES, parts, wide=True)


def _mistakes_of(run: Run, mistakes: Sequence[Mistake], caption: str) -> Gallery | Table:
    """Return mistakes as images; rows of a table of numbers by their place."""
    names = run.data.class_names
    if len(run.data.input_shape) != 3:
        rows = [
            (f"{one.row:,}", names[one.true], names[one.predicted], percent(one.confidence))
            for one in mistakes
        ]
        return Table((f"row of the {run.part} data", "class", "predicted", "probability"), rows)
    pictures = evaluation.as_pictures(run.x[[one.row for one in mistakes]])
    shown = [
        Shown(
            picture,
            f"is {evaluation.short_name(names[one.true])}",
            f"said {evaluation.short_name(names[one.predicted])}, {percent(one.confidence)}",
        )
        for picture, one in zip(pictures, mistakes, strict=True)
    ]
    return Gallery(shown, caption)


def _images(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    if len(runs[0].data.input_shape) != 3:
        return
    generating = [run for run in runs if _has(run, "sample_images")]
    if generating:
        yield per_run(
            "Generated images",
            "One class a row; each column has one latent noise, so one style, whatever the class. "
            "Good rows are of their class throughout, and no two images of a row are alike.",
            "Generated images",
            lambda run: evaluation.class_samples_figure(run.model, run.data.class_names),
            generating,
        )
    styled = [run for run in runs if evaluation.has_styles(run.model)]
    if styled:
        shown = _shown(runs[0])
        images = shown[evaluation.choose_rows(len(shown), _STYLES)]
        yield per_run(
            "Styles",
            "An image, and the image of every class in its style: a row should keep the "
            "style of its image, a column the class, whatever the image is of.",
            "Every class in the style of an image",
            lambda run: evaluation.style_figure(run.model, images, run.data.class_names),
            styled,
        )
    decoding = [run for run in runs if _has(run, "expected_image")]
    if decoding:
        models: Any = {run.name: run.model for run in decoding}
        shown = _shown(runs[0])[:_RECONSTRUCTED]
        draw = partial(
            evaluation.reconstruction_figure,
            models if len(runs) > 1 else decoding[0].model,
            shown,
        )
        yield Section(
            "Reconstructions",
            "Images, and what is left of each after it passed the latent code: what is lost "
            "here, the code does not hold.",
            [Picture(draw, "Reconstructions")],
            wide=len(runs) > 1,
        )


def _has(run: Run, view: str) -> bool:
    """Whether a method implements a view of a trained model."""
    return getattr(type(run.model), view) is not getattr(SemiSupervisedVAE, view)


def _shown(run: Run) -> NDArray[Any]:
    """Return the images to show: those that training did not see where there are any."""
    return run.x if run.part else run.data.x_train


def _codes(runs: Sequence[Run], per_run: PerRun, say: Say) -> Iterator[Section]:
    measured = [run for run in runs if run.probs is not None and _has(run, "posterior_mean")]
    if measured and len(measured[0].x) > 1:
        yield from _code_maps(measured, say)
        yield from _unit_usage(measured, per_run)
    yield from latent_sections(runs, per_run)
    yield from code_sections(runs, per_run)


def _code_maps(runs: Sequence[Run], say: Say) -> Iterator[Section]:
    pictures = []
    for run in runs:
        if hasattr(run.model, "components") and run.model.latent_dim == 2:
            continue  # `latent_sections` has the plane with the component of every class
        rows = evaluation.choose_rows(len(run.x), _MOST_MAPPED)
        codes, prior = evaluation.codes_over_prior(run.model, run.x[rows])
        if codes.shape[1] < 2 or not np.isfinite(codes).all():
            continue
        y, names = np.asarray(run.y)[rows], run.data.class_names
        caption = run.name if len(runs) > 1 else ""
        draw = partial(evaluation.latent_map_figure, codes, prior, y, names)
        pictures.append(Picture(draw, f"Codes over the prior of {run.name}", caption))
        if codes.shape[1] > 2:
            pictures += _code_tsne(run, codes, y, say)
    if pictures:
        yield Section(
            "Code and prior",
            "The mean code of each example in the colour of its class, over draws from the prior "
            "in grey. Codes should fill the prior: where they shrink to its middle the code says "
            f"little, and grey without colour decodes to images like no example.{_beside(runs)} In "
            "a t-SNE only who is next to whom has a meaning.",
            pictures,
            wide=len(pictures) > 1,
        )


def _beside(runs: Sequence[Run]) -> str:
    """Return what colours of classes mean, where the top code stands beside the class."""
    beside = [run for run in runs if evaluation.code_is_beside_class(run.model)]
    if not beside:
        return ""
    names = f"Of {', '.join(run.name for run in beside)}" if len(beside) < len(runs) else "Here"
    return f" {names} the class has a variable of its own, y, so mixed colours are good."


def _code_tsne(run: Run, codes: NDArray[Any], y: NDArray[Any], say: Say) -> list[Picture]:
    say(f"{run.name}: t-SNE of {len(codes):,} codes")
    try:
        points = evaluation.tsne(codes)
    except InputError as error:
        say(f"no t-SNE of the codes: {error}")
        return []
    title = "t-SNE of the same codes"
    draw = partial(evaluation.embedding_figure, points, y, run.data.class_names, title)
    return [Picture(draw, f"t-SNE of the codes of {run.name}")]


def _unit_usage(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    usage = {}
    for run in runs:
        rows = evaluation.choose_rows(len(run.x), _MOST_MAPPED)
        usage[run.folder] = evaluation.unit_usage(run.model, run.x[rows])
    used = [run for run in runs if usage[run.folder]]
    if used:
        yield per_run(
            "Active units",
            _usage_meaning(any(map(_has_v_nat, usage.values()))),
            "Use of the units of the code",
            lambda run: evaluation.unit_usage_figure(usage[run.folder]),
            used,
        )


def _has_v_nat(layers: Mapping[str, Units]) -> bool:
    return any(units.v_nat is not None for units in layers.values())


def _usage_meaning(with_v_nat: bool) -> str:
    text = (
        f"A unit is active when its posterior mean differs from example to example: its variance "
        f"over examples is above {ACTIVE_VARIANCE:g}, the dashed line. Units in grey "
        "hardly carry anything. The number of active units is that to which the code may shrink; "
        "if all are active, a larger code may help."
    )
    if not with_v_nat:
        return text
    return (
        f"{text} V-nat, in nats, is how much an example narrows a unit: the logarithm of the "
        "prior's variance over that of the posterior, 0 where they are the same. Its dashed line "
        "at 1 nat parts units that an example decides well from those that carry little: it is "
        "stricter, and a code cut down to it would lose something."
    )


def _likelihood(runs: Sequence[Run], per_run: PerRun) -> Iterator[Section]:
    bounded = [run for run in runs if run.bounds is not None]
    if not bounded:
        return
    section = per_run(
        "Bound",
        "The evidence lower bound of each example without its label: how well the model "
        "explains it. Examples far to the left are unlike the training data.",
        "Histogram of the bound",
        lambda run: evaluation.bound_figure(run.bounds),
        bounded,
    )
    table = likelihood_table(bounded)
    yield section._replace(parts=[table, *section.parts])


def _record(run: Run) -> Iterator[Section]:
    yield Section("Settings", "What was asked for, and with what it was done.", [summary([run])])
    command = command_of(run.config, run.folder)
    versions = run.metrics["environment"].get("tfssvae", run.config.get("tfssvae", "its version"))
    yield Section(
        "Run it again",
        "This trains a run of the same settings. Its labels, first weights, order and noise are "
        f"functions of the seed: with tfssvae {versions} on the same machine it is the same run.",
        [Code(command)],
    )


def _feature_maps(runs: Sequence[Run], say: Say) -> dict[Path, Callable[[], Any]]:
    """Return what draws the map of each run that has one; t-SNE is done once."""
    maps: dict[Path, Callable[[], Any]] = {}
    for run in runs:
        rows = evaluation.choose_rows(len(run.x))
        say(f"{run.name}: t-SNE of {len(rows):,} {run.part} examples")
        try:
            points = evaluation.tsne(evaluation.classifier_features(run.model, run.x[rows]))
        except InputError as error:
            say(f"no feature map: {error}")
            continue
        maps[run.folder] = partial(
            evaluation.embedding_figure, points, np.asarray(run.y)[rows], run.data.class_names
        )
    return maps
