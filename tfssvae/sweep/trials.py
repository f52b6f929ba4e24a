"""The trials of a sweep and sweep.json, which holds everything that is known of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tfssvae.checks import InputError
from tfssvae.evaluation import estimate
from tfssvae.runs.environment import environment
from tfssvae.runs.folder import write_json
from tfssvae.runs.lock import NAME as LOCK
from tfssvae.sweep.space import Space, describe, space_from_json, space_to_json

FILE = "sweep.json"


@dataclass(frozen=True)
class Settings:
    """What a sweep was asked for.

    Attributes:
        train: options of `tfssvae train` that all runs share.
        space: name of an argument -> its values.
        seeds: of the runs of each trial.
        trials: how many there are.
        sampler: one of `tuner.SAMPLERS`.
        sampler_seed: its seed.
        objective: the figure of validation data that trials are compared by.
        direction: "maximize" or "minimize".
    """

    train: dict[str, Any]
    space: Space
    seeds: tuple[int, ...]
    trials: int
    sampler: str
    sampler_seed: int
    objective: str
    direction: str

    @property
    def maximize(self) -> bool:
        """Whether a higher objective is better."""
        return self.direction == "maximize"

    def to_json(self) -> dict[str, Any]:
        """Return the settings for a JSON file."""
        content = {**vars(self), "space": space_to_json(self.space)}
        return json.loads(json.dumps(content))


def settings_from_json(content: Mapping[str, Any]) -> Settings:
    """Return settings that were read from a JSON file."""
    space, seeds = space_from_json(content["space"]), tuple(content["seeds"])
    return Settings(**{**content, "space": space, "seeds": seeds})


@dataclass
class Trial:
    """Runs with the same arguments.

    Attributes:
        number: from 0 on.
        arguments: name -> value.
        values: seed -> objective of the finished runs.
        seconds: seed -> duration of the finished runs.
        failed: why the trial was given up; None where it was not.
    """

    number: int
    arguments: dict[str, Any]
    values: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    failed: str | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"trial-{self.number:03d}"

    def objective(self, seeds: Sequence[int]) -> tuple[float, float | None] | None:
        """Return mean and standard error over the seeds, None before all of them are finished."""
        if self.failed is not None or any(seed not in self.values for seed in seeds):
            return None
        mean, error, _ = estimate([self.values[seed] for seed in seeds])
        return mean, error


def ranked(trials: Sequence[Trial], settings: Settings) -> list[Trial]:
    """Return the complete trials, the best first; of equals the earlier one."""
    means = {}
    for trial in trials:
        found = trial.objective(settings.seeds)
        if found is not None:
            means[trial.number] = found[0]
    sign = -1 if settings.maximize else 1
    return sorted(
        (trial for trial in trials if trial.number in means),
        key=lambda trial: (sign * means[trial.number], trial.number),
    )


def read_sweep(folder: Path) -> tuple[Settings, list[Trial]]:
    """Return what sweep.json of a folder holds.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text())
        return settings_from_json(content["settings"]), [_trial(e) for e in content["trials"]]
    except FileNotFoundError:
        raise InputError(f"{folder} is not a sweep: it has no {FILE}") from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _trial(entry: Mapping[str, Any]) -> Trial:
    by_seed = {
        name: {int(seed): value for seed, value in entry[name].items()}
        for name in ("values", "seconds")
    }
    return Trial(entry["number"], entry["arguments"], **by_seed, failed=entry["failed"])


def open_sweep(folder: Path, settings: Settings) -> list[Trial]:
    """Return the trials so far of a folder that is new or was begun with the same settings.

    More trials than before may be asked of a sampler.

    Raises:
        InputError: the folder holds something else, or a sweep with other settings.
    """
    if not (folder / FILE).exists():
        if any(entry.name != LOCK for entry in folder.iterdir()):
            raise InputError(f"{folder} holds something else: choose another --out")
        return []
    before, trials = read_sweep(folder)
    different = _differences(before, settings)
    if settings.trials < len(trials):
        different.append(f"trials: {len(trials)} were begun, {settings.trials} are asked for")
    if different:
        raise InputError(
            f"{folder} is a sweep with other settings ({'; '.join(different)}): choose another "
            f"--out, or continue it as it was with tfssvae sweep --resume {folder}"
        )
    return trials


def _differences(before: Settings, now: Settings) -> list[str]:
    old, new = (
        {**s.train, **s.to_json(), "train": None, "space": None, "trials": None}
        | {f"values of {name}": describe(values) for name, values in s.space.items()}
        for s in (before, now)
    )
    names = dict.fromkeys([*old, *new])
    return [
        f"{name.replace('_', ' ')}: {_shown(old.get(name))} then, {_shown(new.get(name))} now"
        for name in names
        if json.dumps(old.get(name)) != json.dumps(new.get(name))
    ]


def _shown(value) -> str:
    return "none" if value is None or value == [] else str(value)


def save_sweep(
    folder: Path,
    settings: Settings,
    trials: Sequence[Trial],
    chosen: Mapping[str, Any] | None = None,
) -> None:
    """Write sweep.json, which is always whole.

    Args:
        folder: of the sweep.
        settings: what it was asked for.
        trials: those begun so far.
        chosen: which trial it was and its test figures, once all are finished.
    """
    entries = []
    for trial in trials:
        mean, error = trial.objective(settings.seeds) or (None, None)
        entries.append({**asdict(trial), "mean": mean, "standard_error": error})
    content = {
        "settings": settings.to_json(),
        "trials": entries,
        "chosen": chosen,
        "environment": environment(),
    }
    write_json(folder / FILE, content)
