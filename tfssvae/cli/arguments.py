"""What options of several commands are made of: texts as values."""

import argparse
import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfssvae.checks import InputError, closest
from tfssvae.library_errors import reason


def not_negative(text: str) -> float:
    """Return a finite number that is 0 or more."""
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def add_best(parser: argparse.ArgumentParser) -> None:
    """Add the option that takes the best epoch of a run instead of its last."""
    parser.add_argument(
        "--best",
        action="store_true",
        help="take the weights of the epoch that was best on the validation data, not the last",
    )


def add_background(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what is seen through transparent images."""
    parser.add_argument(
        "--background",
        type=_whole_or_text,
        nargs="+",
        metavar="COLOUR",
        help="behind transparent images of a folder: a name or #rrggbb, a grey in 0..255, or three "
        "numbers, red, green and blue (white)",
    )


def background_of(words: Sequence[int | str]) -> Any:
    """Return what `data.load` takes for the words of `--background`."""
    return words[0] if len(words) == 1 else list(words)


def _whole_or_text(word: str) -> int | str:
    return int(word) if word.isdecimal() else word


def add_pixel_range(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which values of the data are black and white."""
    parser.add_argument(
        "--pixel-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="values of black and of white, where they are not those of the data's type: 0 1 of "
        "masks, 0 4095 of 12 bits in files of 16",
    )


def positive(text: str) -> int:
    """Return an integer that is 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return int(text)


def port(text: str) -> int:
    """Return the number of a TCP port; 0 stands for any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, got {text}")
    return int(text)


def png(text: str) -> Path:
    """Return the path of a picture."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"must end in .png, got {text}")
    return Path(text)


def assignments(pairs: Sequence[str]) -> dict:
    """Return {"latent_dim": 20} for ["latent_dim=20"]; values are Python literals or text."""
    values = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.isidentifier():
            raise InputError(f"--set takes ARGUMENT=VALUE, such as latent_dim=20; got {pair!r:.80}")
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
        except (RecursionError, MemoryError):  # brackets in brackets in brackets
            raise InputError(f"--set {name} is nested too deeply: {text:.40}...") from None
    return values


def part(option: str, text: str, known: Mapping[str, Any]):
    """Return the object that "mier:beta=5,gamma=1" describes."""
    name, _, settings = text.partition(":")
    if name not in known:
        raise InputError(f"unknown {option.lstrip('-')} {name!r:.80}: {closest(name, known)}")
    arguments = assignments([pair for pair in settings.split(",") if pair])
    try:
        return known[name](name=name, **arguments)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{option} {text:.80}: {reason(error)}") from None


def say_of(options):
    """Return the function that says what a command does: for people, or with --json for machines.

    It is imported here, for it comes with TensorFlow.
    """
    from tfssvae.training import messages

    return messages.as_json if options.json else messages.to_people
