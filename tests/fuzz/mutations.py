"""Bytes and JSON values near valid ones, as strategies of Hypothesis."""

import json

from hypothesis import strategies as st

from tfssvae.checks import InputError

NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2, 2**31 - 1, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, -0.5]),
    st.sampled_from([float("nan"), float("inf"), 1e308]),
    st.integers(-3, 300),
)
TEXTS = st.one_of(
    st.sampled_from(["", "\0", "../../etc/passwd", "/dev/zero", "\ud800", "\x1b[2J", "<b>", "$\\"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda parts: st.one_of(st.lists(parts, max_size=3), st.dictionaries(TEXTS, parts, max_size=3)),
    max_leaves=6,
)


def found_or_refused(load):
    """Return what a loader finds, or None where it refuses with one sentence.

    No other error is caught: one that a loader lets out fails the test.
    """
    try:
        return load()
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 3000
    return None


@st.composite
def changed_bytes(draw, valid):
    """Return the bytes with some overwritten, left out, doubled or cut off."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        piece = draw(st.binary(min_size=1, max_size=8))
        kind = draw(st.sampled_from(["write", "drop", "insert", "double", "cut"]))
        if kind == "write":
            content[place : place + len(piece)] = piece
        elif kind == "drop":
            del content[place : place + len(piece)]
        elif kind == "insert":
            content[place:place] = piece
        elif kind == "double":
            content[place:place] = content[place : place + draw(st.integers(1, 64))]
        else:
            del content[place:]
    return bytes(content)


@st.composite
def changed_value(draw, valid):
    """Return a JSON value with one to three of its parts, at any depth, replaced or left out."""
    content = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(1, 3))):
        parents = list(_parents(content))
        if not parents:
            return draw(VALUES)
        parent, key = parents[draw(st.integers(0, len(parents) - 1))]
        if draw(st.booleans()) and draw(st.booleans()):
            del parent[key]
        else:
            parent[key] = draw(VALUES)
    return content


@st.composite
def json_bytes(draw, valid):
    """Return a file: a changed value as JSON, or changed bytes of the valid one."""
    if draw(st.booleans()):
        return json.dumps(draw(changed_value(valid))).encode()
    return draw(changed_bytes(json.dumps(valid).encode()))


def _parents(value):
    entries = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, part in entries:
        yield value, key
        yield from _parents(part)
