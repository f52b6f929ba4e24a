"""Finished runs, and which of them differ in nothing but the seed."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfssvae.checks import InputError
from tfssvae.report.tables import described
from tfssvae.runs import read_config, read_metrics
from tfssvae.runs.complete import unnumbered

Say = Callable[[str], None]

# Of a configuration, what changes nothing about the result, or is the seed.
_NO_SETTINGS = (
    *("checkpoint_seconds", "checkpoints", "tfssvae", "baseline", "likelihood_samples"),
    "on_divergence",
)
_NO_DATA_SETTINGS = ("seed", "data_dir")
_LONGEST_NAME = 40


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
        name: told apart from those of other groups.
        settings: name -> text, of what the runs share.
        runs: ordered by seed.
    """

    name: str
    settings: dict[str, str]
    runs: list[Finished]

    @property
    def seeds(self) -> list[int]:
        """Of the runs."""
        return [run.seed for run in self.runs]


def find_runs(paths: Iterable[Path], say: Say) -> list[Finished]:
    """Return the finished runs that are meant by run folders and by folders of run folders.

    Args:
        paths: each a run folder, or a folder that holds some, as `tfssvae reproduce` leaves it.
        say: receives a line for each run inside a folder that is not finished, and left out.

    Raises:
        InputError: a path is neither, a run that is named is not finished, or less than two runs
            are found.
    """
    found: dict[Path, Finished] = {}
    for path in map(Path, paths):
        inside = sorted(file.parent for file in path.glob("*/config.json"))
        if (path / "config.json").exists() or not inside:
            found[path.resolve()] = _read(path)
            continue
        for folder in inside:
            if (folder / "metrics.json").exists():
                found[folder.resolve()] = _read(folder)
            else:
                say(f"{folder} is not finished and left out")
    if len(found) < 2:
        raise InputError(f"a comparison needs two finished runs at least, got {len(found)}")
    return list(found.values())


def _read(folder: Path) -> Finished:
    return Finished(folder, read_config(folder), read_metrics(folder))


def grouped(runs: Sequence[Finished]) -> list[Group]:
    """Return the runs in groups that differ in nothing but the seed, in the order of their first.

    Raises:
        InputError: two runs of a group have one seed: one of them is a repetition.
    """
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_settings(run.config), sort_keys=True), []).append(run)
    parts = [sorted(group, key=lambda run: run.seed) for group in groups.values()]
    for group in parts:
        for one, two in itertools.pairwise(group):
            if one.seed == two.seed:
                raise InputError(
                    f"{one.folder} and {two.folder} have the same settings and the same seed "
                    f"{one.seed}: name one of them"
                )
    texts = [_texts(group[0].config) for group in parts]
    names = _names(parts, texts)
    return [Group(*group) for group in zip(names, texts, parts, strict=True)]


def differing(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Return setting -> its text in each group, of the settings that are not alike."""
    names = dict.fromkeys(name for group in groups for name in group.settings)
    texts = {name: [group.settings.get(name, "not set") for group in groups] for name in names}
    return {name: values for name, values in texts.items() if len(set(values)) > 1}


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return what distinguishes groups: setting -> value, those of data and model in one level."""
    found = {k: v for k, v in config.items() if k not in (*_NO_SETTINGS, "data", "model")}
    data = {k: v for k, v in config["data"].items() if k not in _NO_DATA_SETTINGS}
    found |= {f"data: {name}": value for name, value in data.items()}
    found |= {f"model: {name}": value for name, value in config["model"].items()}
    # What is not set, or switched off, is as good as not written down.
    return {k: unnumbered(v) for k, v in found.items() if v not in (None, False, 0, [], {})}


def _texts(config: dict[str, Any]) -> dict[str, str]:
    return {name: described(value) for name, value in _settings(config).items()}


def _names(groups: Sequence[Sequence[Finished]], texts: Sequence[dict[str, str]]) -> list[str]:
    """Return a name for each group: what its folders are called but for the seed, if it is one."""
    stems = [
        {re.sub(r"[-_]?seed[-_=]?\d+$", "", _own_name(run)) for run in runs} for runs in groups
    ]
    names = [min(stem) if len(stem) == 1 else "" for stem in stems]
    if all(names) and len(set(names)) == len(names):
        return names
    different = [name for name in texts[0] if len({text.get(name) for text in texts}) > 1]
    found = []
    for text in texts:
        others = ", ".join(
            f"{_last(n)}={text[n]}" for n in different if n in text and n != "method"
        )
        full = f"{text['method']} {others}".strip()
        found.append(full if len(full) <= _LONGEST_NAME else f"{full[: _LONGEST_NAME - 1]}…")
    # Names that were cut may be alike.
    alike = {name for name in found if found.count(name) > 1}
    return [
        f"{name} ({_own_name(runs[0])})" if name in alike else name
        for name, runs in zip(found, groups, strict=True)
    ]


def _own_name(run: Finished) -> str:
    return run.folder.resolve().name


def _last(name: str) -> str:
    return name.rpartition(": ")[2]
