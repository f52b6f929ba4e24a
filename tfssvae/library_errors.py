"""What errors of outside libraries say, in one line, and how missing packages are installed."""

import re
import shlex
from pathlib import Path

_LONGEST_REASON = 300  # characters of an outside library's error that a message passes on
# What Keras and TensorFlow put around the line that says what is wrong.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ARGUMENTS = "\nArguments received by "
_HEADINGS = re.compile(
    r"Exception encountered when calling|in user code:|Graph execution error|Detected at node"
    r"|<stack traces unavailable>|Traceback \(most recent call last\)|File \"|\d+ root error"
)
_WRAPPERS = re.compile(r"\{\{.*?\}\} ?|^\(\d+\) [A-Z_]+: *| ?\[Op:[^\]]*\].*$")
_NAMED = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception): *(\S.*)$", re.MULTILINE)
_OWN = re.compile(r"\bInputError: *(\S.*)")  # out of a Python function inside of TensorFlow


def reason(error: BaseException) -> str:
    """Return what an outside library's error says: the one line of it that tells, not too long.

    Colours, headings, traces and the arguments that were received are left out. A sentence of ours
    that TensorFlow passes on stays whole.

    >>> reason(ValueError("Exception encountered when calling Dense.call().\\n\\nNo such shape"))
    'No such shape'
    >>> reason(KeyError())
    'KeyError'
    """
    text = _COLOUR.sub("", str(error)).partition(_ARGUMENTS)[0]
    own = refusal_in(error)
    if own is not None:
        return own
    lines = [line.strip() for line in text.splitlines()]
    named = _NAMED.search("\n".join(lines)) if "in user code:" in lines else None
    told = [line for line in lines if line and not _HEADINGS.match(line)]
    line = named[1] if named else next(iter(told), "")
    line = _WRAPPERS.sub("", line).strip() or type(error).__name__
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def refusal_in(error: BaseException) -> str | None:
    """Return the sentence of an `InputError` of ours that another error passes on, None without.

    TensorFlow keeps of an exception in a Python function what it says, inside a trace.
    """
    own = _OWN.search(str(error))
    return own[1].strip() if own else None


def install_hint(extra: str) -> str:
    """Return the command that installs the packages of an extra.

    In a checkout it is pip's own way to say so. Where a wheel was installed there is no folder to
    name, and no index has tfssvae: the packages are named that the wheel declares.
    """
    from importlib import metadata

    checkout = Path(__file__).parents[1]
    if (checkout / "setup.py").is_file():
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    try:
        declared = metadata.requires("tfssvae") or []
    except metadata.PackageNotFoundError:  # a copy of the package alone
        return f'the packages are those of the extra "{extra}" in setup.py'
    of_extra = re.compile(rf"""(.*?) *;.*\bextra == ["']{extra}["']""")
    wanted = [found[1] for found in map(of_extra.match, declared) if found]
    return f"pip install {shlex.join(wanted)}"
