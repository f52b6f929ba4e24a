"""The top of a report: title, the figures that matter most, and what a reader must know first."""

import numpy as np

from tfssvae.report.measures import likelihoods
from tfssvae.report.page import Fact, Head
from tfssvae.report.run import Run


def heading(run: Run) -> Head:
    """Return the top of the report of a run."""
    return Head(f"{run.name} on {run.data.name}", [_lead(run)], notes(run), _facts(run))


def _lead(run: Run) -> str:
    data = run.data
    text = (
        f"{len(data.labelled_indices):,} of {len(data.x_train):,} training examples had a label; "
        f"{run.metrics['seconds']:,.0f} s of training. "
    )
    if run.part == "test" and run.probs is not None:
        return f"{text}Figures are of {len(run.x):,} test examples that training never saw."
    return text


def notes(run: Run) -> list[str]:
    """Return what makes the figures of a run others than a reader would take them for."""
    found = []
    if "epoch" in run.metrics:
        found.append(
            f"This run is not finished: this is its checkpoint after {run.metrics['epoch']:,} of "
            f"{run.config['epochs']:,} epochs. Continue it with tfssvae train --resume {run.folder}"
        )
    if run.part == "validation":
        found.append(
            f"There is no test data: figures are of {len(run.x):,} validation examples. Where they "
            "were used to choose settings, they are better than those of new data."
        )
    if not run.part:
        found.append("There is no test and no validation data: nothing could be measured.")
    elif run.probs is None:
        found.append("The model predicts what is not a number: training went astray.")
    diverged = _first_not_finite(run.metrics["history"])
    if diverged is not None:
        name, epoch = diverged
        found.append(f"{name} is not a number in epoch {epoch}: training diverged.")
    return found


def _first_not_finite(history: dict[str, list[float]]) -> tuple[str, int] | None:
    """Return the quantity that stopped being a number first, and the epoch, counted from 1."""
    found = []
    for name, values in history.items():
        lost = np.flatnonzero(~np.isfinite(np.asarray(values, "float64")))
        if len(lost):
            found.append((int(lost[0]) + 1, name != "loss", name))
    return (min(found)[2], min(found)[0]) if found else None


def _facts(run: Run) -> list[Fact]:
    figures, found = run.figures, []
    part = run.part
    if "accuracy" in figures:
        alone = run.metrics.get("labels_alone", {}).get("accuracy")
        aside = "" if alone is None else f"{alone:.2%} with the labels alone"
        found.append(Fact(f"{part} accuracy", f"{figures['accuracy']:.2%}", aside))
        error = figures["expected_calibration_error"]
        found.append(Fact("calibration error (ECE)", f"{error:.3f}", "0 is honest"))
    if "clustering_accuracy" in figures:
        value = f"{figures['clustering_accuracy']:.2%}"
        found.append(Fact(f"{part} clustering accuracy", value, "clusters named at best"))
    estimates = likelihoods(figures)
    if estimates:
        samples, key = max(estimates.items())
        value = f"{figures[key]:.2f} nats"
        found.append(Fact("log p(x) at least", value, f"{samples:,} importance samples"))
    elif "unlabelled_bound" in figures:
        value = f"{figures['unlabelled_bound']:.2f} nats"
        found.append(Fact("bound on log p(x)", value, f"one sample, mean over {part} examples"))
    labels = len(run.data.labelled_indices)
    aside = f"{run.data.num_classes:,} classes"
    found.append(Fact("labels shown", f"{labels:,} of {len(run.data.x_train):,}", aside))
    done = run.metrics.get("epoch", run.config["epochs"])
    value = f"{done:,}" if "epoch" not in run.metrics else f"{done:,} of {run.config['epochs']:,}"
    found.append(Fact("epochs", value, f"{run.metrics['seconds']:,.0f} s"))
    return found
