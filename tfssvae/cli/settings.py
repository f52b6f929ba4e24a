"""The options of `tfssvae train` with other arguments, as a sweep sets them, and as a command."""

import argparse
import copy
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from tfssvae.checks import InputError, check_choice, closest
from tfssvae.cli.arguments import assignments
from tfssvae.cli.train import AUGMENTATIONS, add_settings
from tfssvae.models import METHODS
from tfssvae.regularizers import REGULARIZERS
from tfssvae.runs import command

OPTIONS: dict[str, type] = {
    "learning_rate": float,
    "labelled": int,
    "unlabelled": int,
    "unfeatured": int,
    "epochs": int,
}
"""Options that have a value of their own in each trial, by their Python names."""


def settings_parser() -> argparse.ArgumentParser:
    """Return a parser of the options that describe a run."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_settings(parser)
    return parser


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return those of some options that describe a run, for a JSON file."""
    return {name: getattr(options, name) for name in vars(settings_parser().parse_args([]))}


def check_arguments(options: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse names that are no arguments of the method, its weights, its parts or a run.

    Args:
        options: of `add_settings`.
        names: "latent_dim", "weights.classification", "mier.beta", "learning_rate".

    Raises:
        InputError: naming what there is, or where an argument has a value already.
    """
    from tfssvae.core import constructor_arguments

    check_choice(options.method, METHODS, "method")
    known = [*OPTIONS, *constructor_arguments(METHODS[options.method])]
    given = assignments(options.set)
    for name in names:
        owner, dot, argument = name.partition(".")
        if name in given:
            raise InputError(f"{name} is swept and has a value in --set: leave one of them out")
        if dot and owner != "weights":
            _check_part(options, owner, argument)
        elif not dot and name not in known:
            raise InputError(f"{options.method} has no argument {name!r}: {closest(name, known)}")


def _check_part(options: argparse.Namespace, owner: str, argument: str) -> None:
    parts = {text.partition(":")[0] for text in (*options.regularizer, *options.augment)}
    if owner not in parts:
        raise InputError(
            f"{owner}.{argument} is an argument of no part of these runs: name the part, such as "
            f"--regularizer {owner}"
        )
    from tfssvae import layers

    cls = REGULARIZERS[owner] if owner in REGULARIZERS else getattr(layers, AUGMENTATIONS[owner])
    known = [name for name in inspect.signature(cls).parameters if name != "kwargs"]
    if argument not in known:
        raise InputError(f"{owner} has no argument {argument!r}: {closest(argument, known)}")


def with_arguments(options: argparse.Namespace, arguments: Mapping[str, Any]) -> argparse.Namespace:
    """Return options with the arguments of a trial (see `check_arguments` for their names).

    Raises:
        InputError: an option does not take its value.
    """
    chosen = copy.deepcopy(options)
    weights = {}
    for name, value in arguments.items():
        owner, dot, argument = name.partition(".")
        if dot and owner == "weights":
            weights[argument] = value
        elif dot:
            for option in ("regularizer", "augment"):
                texts = getattr(chosen, option)
                setattr(chosen, option, [_with(text, owner, argument, value) for text in texts])
        elif name in OPTIONS:
            setattr(chosen, name, _option(name, value))
        else:
            chosen.set.append(f"{name}={_text(value)}")
    if weights:
        weights = {**assignments(chosen.set).get("weights", {}), **weights}
        chosen.set = [text for text in chosen.set if not text.startswith("weights=")]
        chosen.set.append(f"weights={weights!r}")
    return chosen


def _option(name: str, value):
    kind = OPTIONS[name]
    if type(value) not in (int, kind):
        wanted = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{name} takes {wanted}, got {value!r}")
    return kind(value)


def _with(text: str, owner: str, argument: str, value) -> str:
    """Return "mier:gamma=1,beta=5" for "mier:beta=2,gamma=1" and a beta of 5."""
    name, _, settings = text.partition(":")
    if name != owner:
        return text
    others = [s for s in settings.split(",") if s and not s.startswith(f"{argument}=")]
    return f"{name}:{','.join([*others, f'{argument}={_text(value)}'])}"


def _text(value) -> str:
    """Return a value as `assignments` reads it."""
    if isinstance(value, str) and assignments([f"value={value}"])["value"] == value:
        return value
    return repr(value)


def train_command(options: argparse.Namespace, seed: int) -> str:
    """Return the `tfssvae train` command line of some options and a seed.

    >>> parser = settings_parser()
    >>> options = parser.parse_args(["m2", "--data", "digits", "--grey", "--set", "hidden=(8, 8)"])
    >>> train_command(options, seed=1)
    "tfssvae train m2 --data digits --grey --set 'hidden=(8, 8)' --seed 1"
    """
    given: list[tuple[str, Any]] = []
    for action in settings_parser()._actions:
        value = getattr(options, action.dest)
        if not action.option_strings or value == action.default:
            continue
        repeated = isinstance(value, list) and action.nargs is None
        given += [(action.dest, entry) for entry in (value if repeated else [value])]
    return command.train_command(options.method, [*given, ("seed", seed)])
