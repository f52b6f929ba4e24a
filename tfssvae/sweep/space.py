"""Which values an argument takes in a sweep."""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from tfssvae.checks import InputError

_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Choices:
    """One of several values.

    Attributes:
        values: numbers, texts, truth values, None, or lists of such.
    """

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A number from an interval, its ends included.

    Attributes:
        low: the lower end; where both ends are `int`, whole numbers are meant.
        high: the upper end, above `low`.
        log: whether the logarithm is uniform instead of the number.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether the number is a whole one."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Space: TypeAlias = dict[str, Choices | Range]


def parse_space(grids: Sequence[str], ranges: Sequence[str]) -> Space:
    """Return the space that `--grid` and `--range` describe.

    >>> parse_space(["latent_dim=5,10"], ["learning_rate=1e-4:1e-2:log"])
    {'latent_dim': Choices(values=(5, 10)),
     'learning_rate': Range(low=0.0001, high=0.01, log=True)}

    Raises:
        InputError: a text is not as described, an argument is named twice, or there is none.
    """
    space: Space = {}
    for option, texts in (("--grid", grids), ("--range", ranges)):
        for text in texts:
            name, _, values = text.partition("=")
            if not name or not values:
                raise InputError(f"{option} takes {_FORMS[option]}; got {text!r}")
            if name in space:
                raise InputError(f"{name} is swept twice: name it in one --grid or --range")
            space[name] = _choices(text, values) if option == "--grid" else _range(text, values)
    if not space:
        raise InputError(
            "name what to sweep, such as --grid latent_dim=10,50 or "
            "--range learning_rate=1e-4:1e-2:log"
        )
    return space


_FORMS = {
    "--grid": "ARGUMENT=VALUE,VALUE,..., such as latent_dim=10,50",
    "--range": "ARGUMENT=LOW:HIGH or ARGUMENT=LOW:HIGH:log, such as learning_rate=1e-4:1e-2:log",
}


def _choices(text: str, values: str) -> Choices:
    found = tuple(as_json(literal(value)) for value in split_values(values))
    repeated = [value for value in found if _count(found, value) > 1]
    if repeated:
        raise InputError(f"--grid {text}: {repeated[0]!r} stands there twice")
    return Choices(found)


def _count(values: Sequence[Any], value) -> int:
    return sum(type(other) is type(value) and other == value for other in values)


def _range(text: str, values: str) -> Range:
    ends = values.split(":")
    numbers = [literal(end) for end in ends[:2]]
    fits = len(ends) == 2 or (len(ends) == 3 and ends[2] == "log")
    if not fits or not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise InputError(f"--range takes {_FORMS['--range']}; got {text!r}")
    low, high = numbers
    if not low < high:
        raise InputError(f"--range {text}: {low} is not below {high}")
    if len(ends) == 3 and low <= 0:
        raise InputError(f"--range {text}: a range of logarithms begins above 0")
    if type(low) is not type(high):
        low, high = float(low), float(high)
    return Range(low, high, log=len(ends) == 3)


def split_values(text: str) -> list[str]:
    """Return the parts between commas outside of brackets and quotes.

    >>> split_values("(64,64),(256,),relu")
    ['(64,64)', '(256,)', 'relu']
    """
    parts, quote = [""], ""
    closing: list[str] = []
    for character in text:
        if character == "," and not closing and not quote:
            parts.append("")
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _BRACKETS:
            closing.append(_BRACKETS[character])
        elif closing and character == closing[-1]:
            closing.pop()
        parts[-1] += character
    return [part.strip() for part in parts]


def literal(text: str) -> Any:
    """Return the Python literal that a text is, or the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def as_json(value):
    """Return a value as a JSON file would give it back: lists for tuples."""
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, dict):
        return {str(key): as_json(part) for key, part in value.items()}
    return value


def grid_size(space: Mapping[str, Choices | Range]) -> float:
    """Return how many settings there are: infinitely many where a range has fractions.

    >>> grid_size({"a": Choices((1, 2, 3)), "b": Range(1, 4)})
    12
    """
    sizes = [
        len(values.values)
        if isinstance(values, Choices)
        else (int(values.high - values.low) + 1 if values.whole else math.inf)
        for values in space.values()
    ]
    return math.prod(sizes)


def describe(values: Choices | Range) -> str:
    """Return values for people, as a command line has them.

    >>> describe(Range(0.001, 0.1, log=True))
    '0.001:0.1:log'
    """
    if isinstance(values, Choices):
        return ", ".join(str(value) for value in values.values)
    return f"{values.low}:{values.high}" + (":log" if values.log else "")


def space_to_json(space: Space) -> dict[str, Any]:
    """Return a space for a JSON file."""
    return {name: asdict(values) for name, values in space.items()}


def space_from_json(content: Mapping[str, Mapping[str, Any]]) -> Space:
    """Return a space that was read from a JSON file."""
    return {
        name: Choices(tuple(entry["values"])) if "values" in entry else Range(**entry)
        for name, entry in content.items()
    }
