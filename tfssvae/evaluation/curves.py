"""One figure against another: bound against accuracy, error against labels."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfssvae.checks import InputError
from tfssvae.evaluation.class_names import short_name
from tfssvae.evaluation.style import ink, plain_legend

BOUND, ACCURACY = "val_monitor/unlabelled_bound", "val_accuracy"


def bound_accuracy_figure(history) -> Figure:
    """Draw accuracy against the bound over training, to see a bottleneck (SHOT-VAE, figs. 2, 5).

    A line that turns straight up goes on learning to classify at an unchanged bound; one that goes
    level raises the bound for nothing.

    Args:
        history: what `fit` and `train` return with validation data, or its dict; or a dict of
            label -> any of these, to lay several runs over each other.

    Raises:
        InputError: a history has no bound or accuracy of validation data.
    """
    history = getattr(history, "history", history)
    runs = {label: getattr(value, "history", value) for label, value in history.items()}
    if not any(isinstance(logs, Mapping) for logs in runs.values()):
        runs = {"": history}
    figure = Figure(figsize=(5, 3.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    for logs in runs.values():
        missing = [name for name in (BOUND, ACCURACY) if name not in logs]
        if missing:
            raise InputError(
                f"the history has no {' and no '.join(missing)}: train with validation data and "
                'metrics=["accuracy"]'
            )
        (line,) = axes.plot(logs[BOUND], logs[ACCURACY], ".-", linewidth=1)
        axes.plot(logs[BOUND][-1:], logs[ACCURACY][-1:], "o", color=line.get_color())
    if len(runs) > 1:
        plain_legend(axes, [axes.lines[2 * i] for i in range(len(runs))], list(runs), fontsize=8)
    axes.set_xlabel("bound on log p(x), nats (last epoch: large dot)", fontsize=9)
    axes.set_ylabel("accuracy", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(alpha=0.3)
    return figure


def label_curve_figure(curves: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """Draw an error against the number of labels, mean and range over runs (SHOT-VAE, fig. 3).

    Args:
        curves: method -> labels -> error of each run, a fraction.

    Raises:
        InputError: there is nothing to draw.
    """
    run = {name: {n: e for n, e in curve.items() if len(e)} for name, curve in curves.items()}
    curves = {name: curve for name, curve in run.items() if curve}
    if not curves:
        raise InputError("there are no runs to draw")
    figure = Figure(figsize=(5, 3.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    handles = []
    for curve in curves.values():
        labels = sorted(curve)
        means = [100 * sum(curve[n]) / len(curve[n]) for n in labels]
        low = [mean - 100 * min(curve[n]) for mean, n in zip(means, labels, strict=True)]
        high = [100 * max(curve[n]) - mean for mean, n in zip(means, labels, strict=True)]
        bars = axes.errorbar(labels, means, [low, high], marker="o", markersize=4, capsize=3)
        handles.append(bars)
    plain_legend(axes, handles, list(curves), fontsize=8)
    axes.set_xscale("log")
    ticks = sorted({n for curve in curves.values() for n in curve})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("labels shown", fontsize=9)
    axes.set_ylabel("test error, %", fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def seeds_figure(groups: Mapping[str, Mapping[int, float]], name: str) -> Figure:
    """Draw a figure of each run, those of one seed joined by a line.

    Args:
        groups: name -> seed -> figure; a seed may be missing in some.
        name: of the figure, with its unit.

    Raises:
        InputError: there is nothing to draw.
    """
    seeds = sorted({seed for found in groups.values() for seed in found})
    if not seeds:
        raise InputError("there are no runs to draw")
    figure = Figure(figsize=(max(3.6, 1.3 * len(groups) + 1.4), 3.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    handles = []
    for seed in seeds:
        values = [found.get(seed, math.nan) for found in groups.values()]
        handles += axes.plot(range(len(groups)), values, "o-", markersize=4, linewidth=1)
    for place, found in enumerate(groups.values()):
        if found:
            mean = sum(found.values()) / len(found)
            axes.plot([place - 0.2, place + 0.2], [mean, mean], color=ink(), linewidth=2.5)
    names = [short_name(group) for group in groups]
    axes.set_xticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylabel(name, fontsize=9, parse_math=False)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="y", alpha=0.3)
    title = "seed (bar: mean)"
    names = list(map(str, seeds))
    plain_legend(axes, handles, names, title=title, title_fontsize=8, fontsize=8)
    return figure
