"""The runs of a sweep, one after the other, and the choice among them."""

import contextlib
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import tensorflow as tf

from tfssvae import runs
from tfssvae.checks import DivergenceError, InputError, SettingError
from tfssvae.evaluation import estimate
from tfssvae.runs.lock import claimed
from tfssvae.sweep.objective import last_value
from tfssvae.sweep.table import short, spread, table
from tfssvae.sweep.tensorboard import write_experiment
from tfssvae.sweep.trials import Settings, Trial, open_sweep, ranked, save_sweep
from tfssvae.sweep.tuner import check_installed, suggest
from tfssvae.training.messages import Say, to_people
from tfssvae.training.progress import duration

Configure: TypeAlias = Callable[[Mapping[str, Any], int], dict[str, Any]]
Command: TypeAlias = Callable[[Mapping[str, Any], int], str]


def sweep(
    out: Path, settings: Settings, configure: Configure, command: Command, say: Say = to_people
) -> dict[str, Any]:
    """Run the trials of a sweep and choose the best by validation data.

    Every run is an ordinary run folder, `out/trial-003/seed-1`. The same call goes on after an
    interruption: finished runs are kept, the interrupted one continues from its checkpoint, and
    the suggestions to come are those that would have come. Arguments that the method refuses, or
    with which training diverges, make a failed trial; its other seeds are left out.

    Args:
        out: folder of the sweep.
        settings: what is asked for.
        configure: (arguments, seed) -> what `runs.start_run` takes.
        command: (arguments, seed) -> the command that trains with them.
        say: receives what there is to say at each stage, for people or for machines.

    Returns:
        "chosen" of sweep.json: "trial", "arguments", "mean", "standard_error", "command", which
        trains it again with the first seed, and "test", the test figures of the chosen trial. Those
        of no other are looked at.

    Raises:
        InputError: the folder holds something else or a sweep with other settings, another process
            works in it, a package is missing, or every trial failed.
    """
    check_installed(settings.sampler)
    if settings.objective == "val_loss" and any("." in name for name in settings.space):
        say("note: val_loss is another loss where weights or parts of it differ between trials")
    with claimed(out), _quiet():
        trials = open_sweep(out, settings)
        write_experiment(out / "hparams", settings)
        try:
            _run_trials(out, trials, settings, configure, say)
        except (KeyboardInterrupt, OSError):
            resume = f"tfssvae sweep --resume {shlex.quote(str(out))}"
            say(f"to continue: {resume}", event="interrupted", command=resume)
            raise
        return _choose(out, trials, settings, command, say)


def _run_trials(
    out: Path, trials: list[Trial], settings: Settings, configure: Configure, say: Say
) -> None:
    clock = _Clock()
    for number in range(settings.trials):
        if number == len(trials):
            trials.append(Trial(number, _next_arguments(trials, settings)))
        save_sweep(out, settings, trials)
        _run_trial(out, trials, number, settings, configure, clock, say)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep TensorFlow from warning that each of many models is traced anew."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Clock:
    """The time that runs take."""

    def __init__(self):
        self._started, self._runs = time.monotonic(), 0

    def ticked(self, runs_left: int) -> str:
        """Return the time left after one more run."""
        self._runs += 1
        left = (time.monotonic() - self._started) / self._runs * runs_left
        return f"{duration(left)} left" if runs_left else "last run"


def _next_arguments(trials: list[Trial], settings: Settings) -> dict[str, Any]:
    results = []
    for trial in trials:
        found = trial.objective(settings.seeds)
        results.append((trial.arguments, None if found is None else found[0]))
    return suggest(
        settings.space, results, settings.sampler, settings.sampler_seed, settings.maximize
    )


def _run_trial(
    out: Path,
    trials: list[Trial],
    number: int,
    settings: Settings,
    configure: Configure,
    clock: _Clock,
    say: Say,
) -> None:
    trial = trials[number]
    todo = [seed for seed in settings.seeds if seed not in trial.values]
    if trial.failed is not None or not todo:
        return
    shown = "  ".join(f"{name}={short(value)}" for name, value in trial.arguments.items())
    title = f"\n{trial.name} of {settings.trials}: {shown}"
    say(title, event="trial", trial=number, arguments=trial.arguments)
    for place, seed in enumerate(todo, 1):
        folder = out / trial.name / f"seed-{seed}"
        try:
            config = {**_configured(configure, trial, seed), "baseline": False}
            metrics = runs.complete_run(folder, config, _told_of_runs(say))
            trial.values[seed] = _finite(metrics, settings.objective)
            trial.seconds[seed] = metrics["seconds"]
        except (SettingError, DivergenceError) as error:
            trial.failed = str(error).splitlines()[0]
        save_sweep(out, settings, trials)
        if trial.failed is not None:
            text = f"{trial.name} failed with seed {seed}: {trial.failed}"
            say(text, event="failed", trial=number, seed=seed, reason=trial.failed)
            return
        runs_left = len(todo) - place + (settings.trials - number - 1) * len(settings.seeds)
        value = f"{settings.objective} {spread(trial.values[seed], None)}"
        say(
            f"{trial.name} seed {seed}: {value}, {clock.ticked(runs_left)}{_best(trials, settings)}"
        )


def _told_of_runs(say: Say) -> Say:
    """Return what passes on how a run goes, and not its test figures: those of one are shown."""

    def passed_on(text: str, event: str = "note", **fields: Any) -> None:
        if event in ("epoch", "resume", "rollback", "environment"):
            say(text, event=event, **fields)

    return passed_on


def _configured(configure: Configure, trial: Trial, seed: int) -> dict[str, Any]:
    try:
        return configure(trial.arguments, seed)
    except InputError as error:
        raise SettingError(str(error)) from error


def _finite(metrics: Mapping[str, Any], objective: str) -> float:
    value = last_value(metrics, objective)
    if not abs(value) < float("inf"):
        raise SettingError(f"{objective} of the last epoch is {value}")
    return value


def _best(trials: list[Trial], settings: Settings) -> str:
    found = ranked(trials, settings)
    if not found:
        return ""
    mean, error = found[0].objective(settings.seeds) or (0.0, None)
    return f", best so far {spread(mean, error)} ({found[0].name})"


def _choose(
    out: Path, trials: list[Trial], settings: Settings, command: Command, say: Say
) -> dict[str, Any]:
    text = table(trials, settings)
    (out / "table.md").write_text(f"{text}\n", encoding="utf-8")
    say(f"\n{text}\n")
    found = ranked(trials, settings)
    if not found:
        raise InputError(f"every trial failed, such as {trials[0].name}: {trials[0].failed}")
    best = found[0]
    mean, error = best.objective(settings.seeds) or (0.0, None)
    chosen = {
        "trial": best.number,
        "arguments": best.arguments,
        "mean": mean,
        "standard_error": error,
        "command": command(best.arguments, settings.seeds[0]),
        "test": _test_figures(out / best.name, settings),
    }
    save_sweep(out, settings, trials, chosen)
    say(_told(best, settings, chosen, out), event="chosen", **chosen)
    return chosen


def _told(best: Trial, settings: Settings, chosen: Mapping[str, Any], out: Path) -> str:
    mean = spread(chosen["mean"], chosen["standard_error"])
    lines = [f"chosen by {settings.objective} of the last epoch: {best.name}, {mean}"]
    for name in ("accuracy", "unlabelled_bound"):
        if name in chosen["test"]:
            figure = chosen["test"][name]
            shown = spread(figure["mean"], figure["standard_error"])
            lines.append(f"test {name} of {best.name}: {shown}")
    lines.append(f"again:       {chosen['command']}")
    lines.append(f"TensorBoard: tensorboard --logdir {shlex.quote(str(out))}")
    return "\n".join(lines)


def _test_figures(folder: Path, settings: Settings) -> dict[str, Any]:
    tests = {
        seed: runs.read_metrics(folder / f"seed-{seed}").get("test", {}) for seed in settings.seeds
    }
    figures: dict[str, Any] = {}
    for name, first in tests[settings.seeds[0]].items():
        values = {seed: test.get(name) for seed, test in tests.items()}
        if isinstance(first, int | float) and None not in values.values():
            mean, error, _ = estimate([float(value) for value in values.values()])
            figures[name] = {"per_seed": values, "mean": mean, "standard_error": error}
    return figures
