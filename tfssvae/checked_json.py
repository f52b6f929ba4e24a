"""The JSON files of a run, with everything in them of the kind that it should be."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfssvae import limits
from tfssvae.models import METHODS

_MOST = 2**31 - 1
_DEPTH = 8  # axes of an array
_PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
_TEXTS = "decoded_as"  # the one figure that is text: class -> the class that its image shows
_BY_NAME = ("recall", "counts", "kl_decomposition", "kl_bounds", _TEXTS, f"{_TEXTS}_probability")

Rule = tuple[Callable[[Any], bool], str]


def _number(value: Any, least: float = -math.inf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not value < least


def _duration(value: Any) -> bool:
    return _number(value, 0) and math.isfinite(value)


def _whole(least: int) -> Rule:
    wanted = f"a whole number from {least:,} to {_MOST:,}"
    return lambda value: type(value) is int and least <= value <= _MOST, wanted


def _one_of(names) -> Rule:
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


def _figure_or_none(value: Any) -> bool:
    return value is None or _number(value)  # what was not finite is written as null


def _numbers(value: Any, depth: int = _DEPTH) -> bool:
    return (
        depth > 0
        and isinstance(value, list)
        and all(_figure_or_none(one) or _numbers(one, depth - 1) for one in value)
    )


def _history(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(values, list) and all(map(_figure_or_none, values)) for values in value.values()
    )


def _figure(name: str, value: Any) -> bool:
    if name not in _BY_NAME:
        return _figure_or_none(value) or _numbers(value)
    if not isinstance(value, dict):
        return False
    if name == _TEXTS:
        return all(isinstance(one, str) for one in value.values())
    return all(map(_figure_or_none, value.values()))


def _best(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and _number(value.get("value"))
        and all(_whole(0)[0](value.get(name)) for name in ("epoch", "step"))
    )


def _rollbacks(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and _whole(0)[0](one.get("from_step"))
        and isinstance(one.get("reason"), str)
        for one in value
    )


def _context(value: Any) -> bool:
    """Whether a checkpoint has no context, or that of a run."""
    return not value or (
        isinstance(value, dict)
        and isinstance(value.get("config"), dict)
        and _rollbacks(value.get("rollbacks"))
    )


def _figures(value: Any) -> bool:
    return isinstance(value, dict) and all(_figure(*entry) for entry in value.items())


_BEST: Rule = (_best, "a name, a value, an epoch and a step")
_BEST_IF_ANY: Rule = (lambda value: value is None or _best(value), f"null, or {_BEST[1]}")
_ROLLBACKS: Rule = (_rollbacks, "a list of steps and reasons")
_OBJECT: Rule = (lambda value: isinstance(value, dict), "an object")
_DURATION: Rule = (_duration, "a number of seconds, 0 or more")
_HISTORY: Rule = (_history, "lists of numbers by name")
_CONFIG: Mapping[str, Rule] = {
    "method": _one_of(tuple(METHODS)),
    "data": (
        lambda value: (
            isinstance(value, dict)
            and isinstance(value.get("name"), str)
            and type(value.get("seed", 0)) is int
        ),
        "an object with a name and a seed",
    ),
    "model": _OBJECT,
    "epochs": _whole(1),
    "driver": _one_of(("loop", "fit")),
}
_CONFIG_OF_TRAINING: Mapping[str, Rule] = {
    "labelled": _whole(0),
    "unlabelled": _whole(0),
    "unfeatured": _whole(0),
    "precision": _one_of(_PRECISIONS),
    "checkpoint_seconds": _DURATION,
    "learning_rate": (
        lambda value: isinstance(value, dict) or (_duration(value) and value > 0),
        "a positive number or a schedule",
    ),
    "optimizer": _OBJECT,
    "default_weights": _one_of(("recommended", "paper", "none")),
    "checkpoints": _whole(1),
    "replicas": _whole(1),
    "on_divergence": _one_of(("stop", "roll_back")),
    "baseline": (lambda value: isinstance(value, bool), "true or false"),
    "likelihood_samples": (
        lambda value: isinstance(value, list) and all(map(_whole(1)[0], value)),
        "a list of numbers of samples",
    ),
}
_METRICS: Mapping[str, Rule] = {
    "seconds": _DURATION,
    "history": _HISTORY,
    "environment": (
        lambda value: (
            isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        ),
        "texts by name",
    ),
}
_FIGURES: Rule = (_figures, "numbers by name")
_MEASURED: Mapping[str, Rule] = {
    "best": _BEST_IF_ANY,
    "rollbacks": _ROLLBACKS,
    "test": _FIGURES,
    "labels_alone": (
        lambda value: _figures(value) and _number(value.get("accuracy")),
        "numbers by name, with an accuracy",
    ),
}
_STATE: Mapping[str, Rule] = {
    "epoch": _whole(0),
    "step": _whole(0),
    "seconds": _DURATION,
    "history": _HISTORY,
    "metrics": (_numbers, "numbers in lists"),
    "best": _BEST_IF_ANY,
    "context": (_context, "empty, or a configuration and rollbacks"),
}


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a config.json.

    Raises:
        UnreadableFile: there is none, or it is damaged.
    """
    return _checked(limits.read_json(path), _CONFIG, _CONFIG_OF_TRAINING, path)


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the content of a metrics.json.

    Raises:
        UnreadableFile: there is none, or it is damaged.
    """
    return _checked(limits.read_json(path), _METRICS, _MEASURED, path)


def read_state(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint's state.json.

    Raises:
        UnreadableFile: there is none, or it is damaged.
    """
    return _checked(limits.read_json(path), _STATE, {}, path)


def read_best(path: Path) -> dict[str, Any]:
    """Return the content of state.json of the best epoch.

    Raises:
        UnreadableFile: there is none, or it is damaged.
    """
    found = limits.read_json(path)
    if not _best(found):
        raise limits.UnreadableFile(f"{path} is damaged: it must be {_BEST[1]}")
    return found


def _checked(
    content: dict[str, Any], needed: Mapping[str, Rule], further: Mapping[str, Rule], path: Path
) -> dict[str, Any]:
    missing = sorted(set(needed) - set(content))
    if missing:
        raise limits.UnreadableFile(f"{path} is damaged: it lacks {', '.join(missing)}")
    for name, (fits, wanted) in {**needed, **further}.items():
        if name in content and not fits(content[name]):
            raise limits.UnreadableFile(
                f"{path} is damaged: {name} must be {wanted}, got {content[name]!a:.80}"
            )
    return content
