"""What a report shows of training: a small panel for everything that was logged."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tfssvae import evaluation
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.evaluation.curves import ACCURACY, BOUND
from tfssvae.evaluation.history import HIDDEN_DIVERGENCE, INFORMATION, Logs, logged_quantities
from tfssvae.report.page import Picture, Section

Histories = Mapping[str, Sequence[Logs]]
"""Name of a run, or of runs that differ in the seed -> the logs of each."""


_CITES = re.compile(r"\b(eqs?\.|section)")
_BOUND = "before any weight: the higher, the better"
_LOGGED = {
    "loss": "the sum of all weighted terms, which training lowers; it may rise while weights do",
    "accuracy": "of the labelled batches of training, not of the test data",
    "monitor/labelled_bound": f"bound of the labelled images with their labels, {_BOUND}",
    "monitor/unlabelled_bound": f"bound on log p(x) of the unlabelled images, {_BOUND}",
    "monitor/unfeatured_bound": f"bound of the labels without images, {_BOUND}",
}
"""What is logged of every method -> what it means."""


def meanings(models: Sequence[SemiSupervisedVAE]) -> dict[str, str]:
    """Return what each term of models and of their regularizers means.

    Where a term is not the same in all of them the methods are named.
    """
    found: dict[str, dict[str, dict[str, None]]] = {}
    for model in models:
        for part in (model, *model.regularizers):
            for term, meaning in getattr(part, "TERMS", {}).items():
                found.setdefault(term, {}).setdefault(meaning, {})[type(model).__name__] = None
    return {
        term: next(iter(texts))
        if len(texts) == 1
        else "; ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())
        for term, texts in found.items()
    }


def _sources(models: Sequence[SemiSupervisedVAE]) -> str:
    """Return a sentence on the papers whose equations the meanings cite, or nothing."""
    papers = {
        type(model).__name__: model.EQUATIONS
        for model in models
        if model.EQUATIONS and any(map(_CITES.search, model.TERMS.values()))
    }
    if not papers:
        return ""
    if len({type(model) for model in models}) == 1:
        return f" Equations and sections are those of {next(iter(papers.values()))}."
    named = "; ".join(f"of {name} {paper}" for name, paper in papers.items())
    return f" Equations and sections are those of the papers of each method: {named}."


def _caption(name: str, terms: Mapping[str, str], history: Mapping[str, Any]) -> str:
    """Return what stands below the curve of a quantity."""
    text = terms.get(name.removeprefix("monitor/"), _LOGGED.get(name, ""))
    groups = [logs for value in history.values() for logs in value if isinstance(logs, Mapping)]
    if name == "loss" and groups:
        text += "; of other terms or weights it is another sum, and does not compare"
    if name == "accuracy" and any(f"val_{name}" in logs for logs in groups or [history]):
        text += "; validation: of the examples held out"
    return text


def curve_sections(
    histories: Histories, data: Data, models: Sequence[SemiSupervisedVAE] = ()
) -> Iterator[Section]:
    """Return the sections about training.

    Args:
        histories: the logs of one run, or of several, those of one name in one colour.
        data: their data.
        models: of the runs, one of each kind: what their terms mean is below the curves.
    """
    history = _drawable(histories)
    logged = logged_quantities(history)
    names = [name for name in logged if name not in (*INFORMATION, HIDDEN_DIVERGENCE)]
    key, terms = _key(history), meanings(models)
    if names:
        yield Section(
            "Learning curves",
            "Everything logged after each epoch, training and validation where there is any. The "
            "terms of the loss are weighted, so that they add up to it; a monitor is not part of "
            "it. A good curve has become level; validation that turns away from training is "
            f"overfitting.{_sources(models)}",
            [
                *key,
                *(
                    Picture(
                        partial(evaluation.quantity_figure, history, name),
                        f"Curve of {name}",
                        _caption(name, terms, history),
                    )
                    for name in names
                ),
            ],
            wide=True,
            small=True,
        )
    names = [name for name in INFORMATION if name in logged]
    if names:
        draw = partial(evaluation.information_figure, _only(history, INFORMATION), data.num_classes)
        yield Section(
            "Information during training",
            "How much the predicted class tells of an image and how unsure it is, on average over "
            "batches of unlabelled images: the bound pulls the first down and the second up"
            f"{', which MIER counters' if any(map(_has_mier, models)) else ''}.",
            [Picture(draw, "Curves of mutual information and entropy")],
        )
    if HIDDEN_DIVERGENCE in logged:
        yield Section(
            "Divergence from the hidden labels",
            "How far what the model says of the unlabelled training images is from their labels, "
            "which it does not see: KL(q(y|x) || smoothed label) after each epoch. A line that "
            "stays level is stuck.",
            [
                *key,
                Picture(
                    partial(evaluation.quantity_figure, history, HIDDEN_DIVERGENCE),
                    "Curve of the divergence",
                ),
            ],
            small=True,
        )
    if all({BOUND, ACCURACY} <= set(logs) for group in histories.values() for logs in group):
        yield Section(
            "Bound and accuracy",
            "Validation accuracy against the bound, epoch by epoch: where the line turns level, a "
            "better bound no longer makes a better classifier.",
            [
                Picture(
                    partial(evaluation.bound_accuracy_figure, _first_of_each(histories)),
                    "Accuracy over bound",
                )
            ],
        )


def _has_mier(model: SemiSupervisedVAE) -> bool:
    return any(type(part).__name__ == "MIER" for part in model.regularizers)


def _drawable(histories: Histories) -> dict[str, Any]:
    """Return what `history_figure` takes: the history of the run, or name -> those of each."""
    groups = list(histories.values())
    if len(groups) == len(groups[0]) == 1:
        return dict(groups[0][0])
    return dict(histories)


def _first_of_each(histories: Histories) -> dict[str, Any]:
    first = {name: group[0] for name, group in histories.items()}
    return dict(next(iter(first.values()))) if len(first) == 1 else first


def _key(history: dict[str, Any]) -> list[Picture]:
    """Return what the lines stand for, where there are several kinds."""
    names = evaluation.history_key(history)
    if len(names) < 2:
        return []
    return [Picture(partial(evaluation.history_key_figure, history), f"Lines: {', '.join(names)}")]


def _only(history: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a history, or those of several runs, with some quantities."""
    found: dict[str, Any] = {}
    for key, values in history.items():
        if values and isinstance(values[0], Mapping):
            found[key] = [_only(logs, names) for logs in values]
        elif key.removeprefix("val_") in names:
            found[key] = values
    return found
