"""Finished runs, and which of them differ in nothing but the seed."""

import functools
import hashlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tfssvae
from tfssvae import data
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.report.tables import described
from tfssvae.runs import read_config, read_metrics
from tfssvae.runs.complete import unnumbered

Say = Callable[[str], None]

# Of a configuration, what changes nothing about the result, or is the seed.
_NO_SETTINGS = (
    *("checkpoint_seconds", "checkpoints", "tfssvae", "baseline", "likelihood_samples"),
    *("on_divergence", "replicas", "test_fingerprint", "label_fingerprint"),
)
_NO_DATA_SETTINGS = ("seed", "data_dir", "stream")
# What a run without these options does.
_TRAIN_DEFAULTS = {"unfeatured": 0, "default_weights": "recommended"}
# Model arguments whose default is not what a run without them gets.
_FILLED_BY_RUNS = ("seed", "regularizers")
_LONGEST_NAME = 40
_SEED = re.compile(r"[-_]?seed[-_=]?\d+$")


class Finished(NamedTuple):
    """A finished run without its model: its folder, config.json and metrics.json."""

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def seed(self) -> int:
        """Of labels, weights, order and noise."""
        return int(self.config["data"].get("seed") or 0)


class Group(NamedTuple):
    """Runs that differ in nothing but the seed.

    Attributes:
        name: told apart from those of other groups of the comparison.
        settings: name -> value as in config.json, of what the runs share and is not a default.
        runs: ordered by seed.
    """

    name: str
    settings: dict[str, Any]
    runs: list[Finished]

    @property
    def id(self) -> str:
        """Of the settings alone: the same in every comparison."""
        return _id(self.settings)

    @property
    def texts(self) -> dict[str, str]:
        """Of the settings, for people."""
        return {name: described(value) for name, value in self.settings.items()}

    @property
    def seeds(self) -> list[int]:
        """Of the runs."""
        return [run.seed for run in self.runs]


def find_runs(paths: Iterable[Path], say: Say) -> list[Finished]:
    """Return the finished runs that are meant by run folders and by folders of run folders.

    Args:
        paths: each a run folder, or a folder that holds some, one level deep as `tfssvae reproduce`
            leaves them or two levels as `tfssvae sweep` does (trial-000/seed-0).
        say: receives a line for each run inside a folder that is not finished, and left out.

    Raises:
        InputError: a path is neither, a run that is named is not finished, or less than two runs
            are found.
    """
    found: dict[Path, Finished] = {}
    for path in map(Path, paths):
        inside = {} if _is_run(path) else {run.resolve(): run for run in _runs_inside(path)}
        if not inside:
            found[path.resolve()] = _read(path)
            continue
        for place, folder in inside.items():
            if (folder / "metrics.json").exists():
                found[place] = _read(folder)
            else:
                say(f"{folder} is not finished and left out")
    if len(found) < 2:
        raise InputError(f"a comparison needs two finished runs at least, got {len(found)}")
    return list(found.values())


def _runs_inside(folder: Path, levels: int = 2) -> Iterator[Path]:
    """Return the runs in a folder; what is inside a run belongs to it."""
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _is_run(child):
            yield child
        elif levels > 1:
            yield from _runs_inside(child, levels - 1)


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").exists()


def _read(folder: Path) -> Finished:
    return Finished(folder, read_config(folder), read_metrics(folder))


def grouped(runs: Sequence[Finished]) -> list[Group]:
    """Return the runs in groups that differ in nothing but the seed, in the order of their first.

    Raises:
        InputError: two runs of a group have one seed: one of them is a repetition.
    """
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        groups.setdefault(_written(_settings(run.config)), []).append(run)
    parts = [sorted(group, key=lambda run: run.seed) for group in groups.values()]
    for group in parts:
        for one, two in itertools.pairwise(group):
            if one.seed == two.seed:
                raise InputError(
                    f"{one.folder} and {two.folder} have the same settings and the same seed "
                    f"{one.seed}: name one of them"
                )
    settings = [_settings(group[0].config) for group in parts]
    names = _names(parts, settings)
    return [Group(*group) for group in zip(names, settings, parts, strict=True)]


def differing(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Return setting -> its text in each group, of the settings that are not alike."""
    names = dict.fromkeys(name for group in groups for name in group.settings)
    texts = {name: [group.texts.get(name, "not set") for group in groups] for name in names}
    settings = [group.settings for group in groups]
    return {name: values for name, values in texts.items() if _differs(name, settings)}


def _differs(name: str, settings: Sequence[dict[str, Any]]) -> bool:
    """Whether a setting is not set, or another, in some."""
    return len({name in one and _written(one[name]) for one in settings}) > 1


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return what distinguishes groups: setting -> value, those of data and model in one level.

    A setting that is written down and is the default is as good as not set.
    """
    options = {k: v for k, v in config.items() if k not in (*_NO_SETTINGS, "data", "model")}
    options = {k: v for k, v in options.items() if not _is_off(v)}
    source = {k: v for k, v in config["data"].items() if k not in _NO_DATA_SETTINGS}
    found = _without(_TRAIN_DEFAULTS, options)
    found |= {f"data: {k}": v for k, v in _without(_defaults_of(data.load), source).items()}
    model = _without(_model_defaults(config["method"]), config["model"])
    return found | {f"model: {name}": value for name, value in model.items()}


def _is_off(value: Any) -> bool:
    """Whether an option of training is as good as not written down."""
    return value is None or value is False or value == [] or value == {}


def _without(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in settings.items()
        if name not in defaults or _written(value) != _written(defaults[name])
    }


@functools.cache
def _model_defaults(method: str) -> dict[str, Any]:
    """Return argument -> default of a method, of those that a run leaves to the constructor."""
    if method not in tfssvae.METHODS:
        return {}
    cls = tfssvae.METHODS[method]
    found = {**_defaults_of(SemiSupervisedVAE), **_defaults_of(cls), "weights": {}}
    filled = (*_FILLED_BY_RUNS, *cls.recommended_arguments(1, 1))
    return {name: value for name, value in found.items() if name not in filled}


@functools.cache
def _defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def _written(value: Any) -> str:
    """Return a setting as text that is the same for equal ones: 1 is 1.0, and not true."""
    return json.dumps(_plain(unnumbered(value)), sort_keys=True, default=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _id(settings: dict[str, Any]) -> str:
    return hashlib.sha256(_written(settings).encode()).hexdigest()[:8]


def _names(groups: Sequence[Sequence[Finished]], settings: Sequence[dict[str, Any]]) -> list[str]:
    """Return a name for each group: what its folders are called but for the seed, if it is one."""
    stems = [{_own_name(run) for run in runs} for runs in groups]
    names = [min(stem) if len(stem) == 1 else "" for stem in stems]
    mixed = any(_in_folder_of_others(runs, groups) for runs in groups)
    if all(names) and len(set(names)) == len(names) and not mixed:
        return names
    different = [
        name
        for name in dict.fromkeys(name for found in settings for name in found)
        if name != "method" and _differs(name, settings)
    ]
    found = [_named_after(one, [n for n in different if n in one]) for one in settings]
    # Names that were cut may be alike, and so may be those of folders.
    owners = [_own_name(runs[0]) for runs in groups]
    ids = [_id(one) for one in settings]
    return _told_apart(_told_apart(found, owners), ids)


def _named_after(settings: dict[str, Any], different: Sequence[str]) -> str:
    others = ", ".join(f"{_last(name)}={described(settings[name])}" for name in different)
    full = f"{settings['method']} {others}".strip()
    return full if len(full) <= _LONGEST_NAME else f"{full[: _LONGEST_NAME - 1]}…"


def _told_apart(names: Sequence[str], asides: Sequence[str]) -> list[str]:
    """Return names with an aside behind those that are alike."""
    return [
        f"{name} ({aside})" if names.count(name) > 1 else name
        for name, aside in zip(names, asides, strict=True)
    ]


def _in_folder_of_others(runs: Sequence[Finished], groups: Sequence[Sequence[Finished]]) -> bool:
    """Whether folders that say nothing but the seed lie beside those of another group."""
    parents = {run.folder.resolve().parent for run in runs if not _stem(run)}
    return any(
        run.folder.resolve().parent in parents
        for others in groups
        for run in others
        if others is not runs
    )


def _own_name(run: Finished) -> str:
    """Return what a run's folder is called but for the seed; of a folder of seeds, what that is."""
    return _stem(run) or run.folder.resolve().parent.name


def _stem(run: Finished) -> str:
    return _SEED.sub("", run.folder.resolve().name)


def _last(name: str) -> str:
    return name.rpartition(": ")[2]
