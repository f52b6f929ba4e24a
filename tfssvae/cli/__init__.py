"""The command line: `tfssvae` or `python -m tfssvae`.

TensorFlow is imported only by the command that needs it, so that `--help` answers at once.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from tfssvae.checks import ConversionError, DivergenceError, InputError, printable
from tfssvae.cli.parser import make_parser

_DONE, _FAILED, _BAD_INPUT, _DIVERGED = 0, 1, 2, 3
_INTERRUPTED, _TERMINATED = 130, 143  # as shells have it: 128 and the number of the signal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Returns:
        0: done. 1: something outside the command failed, such as a disk that is full. 2: bad
        input. 3: training diverged. 130: interrupted. 143: terminated. After 1, 130 and 143 a run
        can be resumed.
    """
    options = make_parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _termination_as_exception():
            options.run(options)
    except InputError as error:
        return _complain(options, error, _BAD_INPUT)
    except DivergenceError as error:
        return _complain(options, error, _DIVERGED)
    except BrokenPipeError:  # whoever read standard output has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (ConversionError, OSError) as error:
        return _complain(options, error, _FAILED)
    except _Terminated:
        return _complain(options, "terminated", _TERMINATED)
    except KeyboardInterrupt:
        return _complain(options, "interrupted", _INTERRUPTED)
    return _DONE


class _Terminated(KeyboardInterrupt):
    """SIGTERM, such as a scheduler sends before it takes the machine away."""


@contextlib.contextmanager
def _termination_as_exception() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, so that it says how to continue."""

    def terminate(*_):
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not in the main thread: signals are its caller's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _complain(options, error, code: int) -> int:
    print(f"tfssvae: {printable(str(error))}", file=sys.stderr)
    if getattr(options, "json", False):
        line = {"event": "error", "time": round(time.time(), 3), "code": code, "text": str(error)}
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return code
