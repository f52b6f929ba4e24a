"""What the limits of values say about their range: the texts of refusals, made of numbers alone."""

from __future__ import annotations

import math

DARK_WHOLE = 63
"""Whole numbers that reach no further leave three quarters of 0..255 empty."""
DARK_FLOAT = 1 / 64
"""Floats that reach no further have left 0..1 all but empty, as 8 bits divided twice have."""
DARK_SIXTEEN_BITS = 16383
"""A quarter of 0..65535: 8, 10, 12 and 14 bits in files of 16."""


def variable(name: str) -> str:
    """Return what stands in the expressions of a message for an array that it calls so.

    >>> variable("x_train in digits.npz"), variable("x")
    ('x_train', 'x')
    """
    return name.partition(" in ")[0]


def likeliest_white(largest: float) -> float:
    """Return the largest possible value that an observed one speaks for.

    It is 2^k - 1, or an observed 2^k itself.

    >>> [likeliest_white(largest) for largest in (1, 14, 16, 3900, 1.25)]
    [1, 15, 16, 4095, 1.25]
    """
    whole = math.ceil(largest)
    if not 0 < whole < 2**32 or (whole != largest and largest < 2):
        return largest
    return whole if whole & (whole - 1) == 0 else 2 ** whole.bit_length() - 1


def beyond(low: float, high: float, whole: bool, name: str) -> str:
    """Return the refusal of values outside of 0..1, or of whole numbers outside of 0..255.

    Args:
        low: the smallest value.
        high: the largest value.
        whole: whether the dtype is one of whole numbers.
        name: how messages call the array, such as "x_train in digits.npz".
    """
    x, in_file = variable(name), variable(name) != name
    kind, allowed = ("integers", "pixels must be in 0..255")
    if not whole:
        kind, allowed = ("floats", "they must be in 0..1")
    found = f"{name} has {kind} from {_number(low)} to {_number(high)}, {allowed}"
    if low >= 0 and 128 < high <= 255:
        eight_bits = "divide by 255 (or pass uint8)"
        if in_file:
            eight_bits = _mapped("0", "255", in_file)
        other = _mapped("low", "high", in_file)
        return (
            f"{found}: {eight_bits} if they are 8-bit pictures, else {other} with the limits of"
            " your data."
        )
    if low >= 0:
        white = _number(likeliest_white(high))
        what_to_do = _either(f"{x} / {white}", "0", white, in_file)
        return f"{found}: {what_to_do} if {white} is the largest possible value."
    if low >= -1 and high <= 1:
        return f"{found}: {_either(f'({x} + 1) / 2', '-1', '1', in_file)}."
    expression = f"({x} - low) / (high - low)"
    return f"{found}: {_either(expression, 'low', 'high', in_file)} with the limits of your data."


def dark(largest: float, whole: bool, name: str) -> str:
    """Return the refusal of values that would be trained on as nearly black; see `beyond`."""
    x, in_file = variable(name), variable(name) != name
    if whole:
        white = _number(likeliest_white(largest))
        expression = f"{x}.astype(bool)" if white == "1" else f"{x} / {white}"
        what_to_do = _either(expression, "0", white, in_file)
        return (
            f"{name} has whole numbers of at most {_number(largest)}, which are nearly black"
            f" as pixels of 0..255: {what_to_do} if {white} is the largest possible value, or"
            " pixel_range=(0, 255) if the pictures are this dark."
        )
    twice = 0.25 <= largest * 255 <= 1 + 1e-6  # float32 rounds
    white = _number(1 / 255 if twice else largest)
    expression = f"{x} * 255" if twice else f"{x} / {white}"
    return (
        f"{name} has floats of at most {_number(largest)}, which are nearly black in 0..1"
        f"{', as pictures are that were divided by 255 twice' if twice else ''}:"
        f" {_either(expression, '0', white, in_file)} if {white} is the largest possible value, or"
        " pixel_range=(0, 1) if the pictures are this dark."
    )


def _either(expression: str, low: str, high: str, in_file: bool) -> str:
    mapped = _mapped(low, high, in_file)
    return mapped if in_file else f"use {expression}, or {mapped}"


def _mapped(low: str, high: str, in_file: bool) -> str:
    """Return how a source of files, or `from_arrays` is told the limits."""
    if in_file:
        return f"pass pixel_range=({low}, {high}) (--pixel-range {low} {high})"
    return f"pixel_range=({low}, {high}) of data.from_arrays"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.7g}"
