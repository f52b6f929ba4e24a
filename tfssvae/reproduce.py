"""Published tables, run: a run folder for each row and seed, and the table beside the paper's."""

import json
import math
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

import tfssvae
from tfssvae import evaluation, runs
from tfssvae.checks import DivergenceError, InputError, closest
from tfssvae.data import load
from tfssvae.data.pipeline import training_order
from tfssvae.recipes import TABLES
from tfssvae.recipes.table import Row, Table, rows_per_step
from tfssvae.runs.command import words_of
from tfssvae.training.messages import Say, to_people

Results = dict[str, dict[int, dict[str, Any]]]
"""Row -> seed -> the content of metrics.json."""

Diverged = dict[str, dict[int, str]]
"""Row -> seed -> where training broke."""


class _Asked(NamedTuple):
    """What a table was made with: its name, data, epochs of a run, the seeds so far, the range."""

    name: str
    data: str
    epochs: int
    seeds: Sequence[int]
    pixel_range: Sequence[float] | None


def reproduce(
    name: str,
    data: str,
    epochs: int | None = None,
    seeds: Sequence[int] = (0,),
    rows: Sequence[str] | None = None,
    out: Path | None = None,
    data_dir: str | None = None,
    pixel_range: Sequence[float] | None = None,
    say: Say = to_people,
) -> Path:
    """Run the rows of a published table on one data set, once for each seed.

    Finished runs are kept and interrupted ones resumed: after an interruption the same call goes
    on. The table is written after every run. A run that diverges is named in it and stops no other;
    the same call tries it again, from its last checkpoint.

    Args:
        name: of the table, such as "mier/table1".
        data: one of the table's data sets, by name or as an npz file that is called so, which keeps
            the table's settings and its published figures; or any other that `data.load` takes.
        epochs: of each run; None: the paper's. Schedules shrink in proportion.
        seeds: each draws labels, initial weights, order and noise.
        rows: names of rows; None: all.
        out: folder of the runs and of table.md and table.json, and of figure.png where the paper
            has a figure; None: under runs/reproduce.
        data_dir: see `data.load`.
        pixel_range: see `data.load`.
        say: receives what there is to say at each stage, for people or for machines.

    Returns:
        The folder.

    Raises:
        InputError: a name is unknown, or the folder holds runs with other settings.
        DivergenceError: some runs diverged; all others are finished and in the table.
    """
    if name not in TABLES:
        raise InputError(f"unknown table {name!r}: {closest(name, TABLES)}")
    table: Table = TABLES[name]
    chosen = table.chosen(rows)
    epochs = table.epochs if epochs is None else epochs
    if epochs < 1:
        raise InputError(f"epochs must be at least 1, got {epochs}")
    slug = f"{name}-{data}".replace("/", "-").replace(":", "-")
    out = Path(out) if out is not None else Path("runs") / "reproduce" / slug
    results: Results = {row.name: {} for row in chosen}
    diverged: Diverged = {row.name: {} for row in chosen}
    seeds = list(dict.fromkeys(seeds))
    loading: dict[str, Any] = {"data_dir": data_dir}
    if pixel_range is not None:
        loading["pixel_range"] = list(pixel_range)
    for place, seed in enumerate(seeds, 1):
        asked = _Asked(name, data, epochs, seeds[:place], pixel_range)
        for row in chosen:
            folder = out / f"{row.name}-seed{seed}"
            say(f"\n== {row.title}, seed {seed}: {folder}")
            config = _config(table, row, data, loading, seed, epochs)
            try:
                results[row.name][seed] = runs.complete_run(folder, config, say)
            except DivergenceError as error:
                diverged[row.name][seed] = str(error).splitlines()[0]
                say(f"{row.title}, seed {seed}, has no figures: {diverged[row.name][seed]}")
            text = _markdown(table, chosen, results, diverged, asked)
            _write(out / "table.md", text)
            _write(out / "table.json", _json(table, chosen, results, diverged, asked))
            say(f"\n{text}")
    say(f"the table is in {out / 'table.md'}, for machines in {out / 'table.json'}")
    figure = _paper_figure(table, chosen, results, out, seeds[0])
    if figure is not None:
        evaluation.save_figure(figure, out / "figure.png")
        say(f"the paper's figure, with seed {seeds[0]}, is in {out / 'figure.png'}")
    curves = _label_curves(chosen, results)
    if any(len(curve) > 1 for curve in curves.values()):
        picture = out / "labels.png"
        evaluation.save_figure(evaluation.label_curve_figure(curves), picture)
        say(f"the error over the labels is drawn in {picture}")
    lost = [f"{row}, seed {seed}" for row, seeds in diverged.items() for seed in seeds]
    if lost:
        number = len(lost) + sum(map(len, results.values()))
        raise DivergenceError(
            f"{len(lost)} of {number} runs diverged ({'; '.join(lost)}): the table has the others"
        )
    return out


def _paper_figure(
    table: Table, rows: Sequence[Row], results: Results, out: Path, seed: int
) -> Figure | None:
    """Return the paper's figure of the rows' runs with a seed, None where there is none."""
    rows = [row for row in rows if seed in results[row.name]]  # the others diverged
    if not rows:
        return None
    if table.draw is not None:
        loaded = {row.title: runs.load_run(out / f"{row.name}-seed{seed}") for row in rows}
        models = {title: model for title, (model, _) in loaded.items()}
        return table.draw(models, loaded[rows[0].title][1])
    if table.draw_histories is not None:
        return table.draw_histories({row.title: results[row.name][seed]["history"] for row in rows})
    return None


def _config(
    table: Table, row: Row, data: str, loading: dict[str, Any], seed: int, epochs: int
) -> dict[str, Any]:
    """Return the configuration of one run (see `runs.start_run`).

    Args:
        table: whose row it is.
        row: of the table.
        data: the data set's name.
        loading: further arguments of `data.load`, which are not the paper's.
        seed: of the run.
        epochs: of the run.
    """
    arguments = {
        **table.data_arguments(data, loading.get("data_dir")),
        **row.data,
        "labels_per_class": row.labels_per_class,
        **loading,
        "seed": seed,
    }
    if row.labels is not None:
        arguments["labels_per_class"] = _spread_evenly(row.labels, arguments)
    loaded = load(**arguments)
    if not runs.has_labels(loaded.y_test):
        raise InputError(f"{data} has no test labels, and a table is about test data")
    there_are = {
        "labelled": len(loaded.labelled_indices),
        "unlabelled": len(loaded.unlabelled_indices),
        "unfeatured": len(loaded.x_train),
    }
    asked = row.settings(1, 1)
    batches = {
        part: rows_per_step(asked[part], there_are[part]) for part in there_are if part in asked
    }
    steps = training_order(loaded, **batches).steps_per_epoch
    return {
        **row.settings(steps, epochs),
        "data": arguments,
        "epochs": epochs,
        **batches,
        "driver": "loop",
        "precision": "float32",
        "checkpoint_seconds": 30.0,
        "baseline": False,
    }


def _spread_evenly(labels: int, arguments: dict[str, Any]) -> dict[str, int]:
    """Return class name -> labels for so many in total, the first classes getting what is over."""
    data = load(**{**arguments, "labels_per_class": 0})
    classes = np.unique(data.hidden_labels[data.hidden_labels >= 0])
    each, over = divmod(labels, len(classes))
    return {data.class_names[k]: each + (n < over) for n, k in enumerate(classes)}


def _figures(results: Results, row: Row, metric: str) -> dict[int, float]:
    """Return seed -> test figure of a row, empty where the row has none."""
    tests = {seed: metrics["test"] for seed, metrics in results[row.name].items()}
    return {seed: test[metric] for seed, test in tests.items() if metric in test}


def _summary(figures: Sequence[float]) -> dict[str, Any]:
    spread = statistics.stdev(figures) if len(figures) > 1 else None
    return {"mean": statistics.fmean(figures), "sd": spread, "runs": len(figures)}


def _differences(results: Results, row: Row, metric: str) -> list[float]:
    """Return the row's figures minus its pair's, for the seeds that both have."""
    if row.pair not in results:
        return []
    pair = {seed: m["test"] for seed, m in results[row.pair].items()}
    others = {seed: test[metric] for seed, test in pair.items() if metric in test}
    ours = _figures(results, row, metric)
    return [value - others[seed] for seed, value in ours.items() if seed in others]


def _label_curves(rows: Sequence[Row], results: Results) -> dict[str, dict[int, list[float]]]:
    """Return method -> labels shown -> errors, for rows called METHOD@..."""
    curves: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        for metrics in results[row.name].values():
            per_class, classes = row.labels_per_class or 0, len(metrics["test"]["recall"])
            labels = per_class * classes if row.labels is None else row.labels
            if not labels:
                continue  # clusters have no error
            curve = curves.setdefault(row.name.partition("@")[0], {})
            curve.setdefault(labels, []).append(metrics["test"]["error"])
    return curves


def _analyses(table: Table, results: Results) -> dict[str, dict[str, float]]:
    """Return factor -> one-way analysis of variance of the table's first metric."""
    metric, found = next(iter(table.metrics)), {}
    for factor, rows in table.factors.items():
        groups = {
            row: [metrics["test"][metric] for metrics in results[row].values()]
            for row in rows
            if results.get(row)
        }
        if len(groups) > 1 and sum(map(len, groups.values())) > len(groups):
            found[factor] = evaluation.one_way_anova(groups)
    return found


def _json(table: Table, rows, results: Results, diverged: Diverged, asked: _Asked) -> str:
    content: dict[str, Any] = {
        "table": asked.name,
        "data": asked.data,
        "epochs": asked.epochs,
        "tfssvae": tfssvae.__version__,
        "rows": {},
        "anova": _analyses(table, results),
    }
    known = table.data_set(asked.data)
    for row in rows:
        if not results[row.name] and not diverged[row.name]:
            continue
        entry: dict[str, Any] = {"labels_per_class": row.labels_per_class, "metrics": {}}
        if row.labels is not None:
            entry["labels"] = row.labels
        entry["seconds"] = {seed: m["seconds"] for seed, m in results[row.name].items()}
        if diverged[row.name]:
            entry["diverged"] = diverged[row.name]
        for metric in table.metrics:
            figures = _figures(results, row, metric)
            if not figures:
                continue
            differences = _differences(results, row, metric)
            entry["metrics"][metric] = {
                "per_seed": figures,
                **_summary(list(figures.values())),
                "published": row.published.get(known, {}).get(metric),
                "minus_pair": _summary(differences) if differences else None,
            }
        content["rows"][row.name] = entry
    return json.dumps(content, indent=2) + "\n"


def _markdown(table: Table, rows, results: Results, diverged: Diverged, asked: _Asked) -> str:
    header = ["model", "runs", "diverged"]
    for metric, unit in table.metrics.items():
        header += [f"{metric.replace('_', ' ')}, {unit}", "published", "minus the row without"]
    known = table.data_set(asked.data)
    body: list[list[str]] = []
    seconds = []
    for row in rows:
        if not results[row.name] and not diverged[row.name]:
            continue
        seconds += [metrics["seconds"] for metrics in results[row.name].values()]
        lost = ", ".join(f"seed {seed}" for seed in diverged[row.name])
        cells = [row.title, str(len(results[row.name])), lost]
        for metric, unit in table.metrics.items():
            scale, digits = (100.0, 2) if unit == "%" else (1.0, 4)
            published = row.published.get(known, {}).get(metric)
            figures = list(_figures(results, row, metric).values())
            differences = _differences(results, row, metric)
            cells += [
                _spread(figures, scale, digits) if figures else "",
                "" if published is None else f"{published * scale:.{digits}f}",
                _spread(differences, scale, digits, "+") if differences else "",
            ]
        body.append(cells)
    filled = [column for column in zip(header, *body, strict=True) if any(column[1:])]
    printed = [*zip(*filled, strict=True)]
    printed.insert(1, ("---",) * len(filled))
    lines = [f"| {' | '.join(cells)} |" for cells in printed]
    tests = [
        f"One-way ANOVA over {factor}: F = {test['f']:.2f}, p = {test['p']:.2f}."
        for factor, test in _analyses(table, results).items()
    ]
    shown = " ".join(map(str, asked.seeds))
    given = ""
    if asked.pixel_range is not None:
        given = " --pixel-range " + " ".join(words_of(list(asked.pixel_range)))
    spared = ", without runs that diverged" if any(diverged.values()) else ""
    took = f"{min(seconds):.0f} to {max(seconds):.0f} s a run; " if seconds else ""
    notes = (
        f"{asked.data}, {asked.epochs} epochs, last epoch, test data; mean ± sample standard "
        f"deviation over seeds {shown}{spared}; {took}tfssvae {tfssvae.__version__}. "
        f"`tfssvae reproduce {asked.name} --data {asked.data} --epochs {asked.epochs} "
        f"--seeds {shown}{given}`"
    )
    return "\n".join([f"**{table.title}**", "", *lines, "", *tests, notes, ""])


def _spread(figures: Sequence[float], scale: float, digits: int, sign: str = "") -> str:
    summary = _summary(figures)
    text = f"{summary['mean'] * scale:{sign}.{digits}f}"
    if summary["sd"] is None or math.isnan(summary["sd"]):
        return text
    return f"{text} ± {summary['sd'] * scale:.{digits}f}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
