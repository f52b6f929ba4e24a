"""The command line: `tfssvae` or `python -m tfssvae`.

TensorFlow is imported only by the command that needs it, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence

from tfssvae.checks import ConversionError, InputError, printable
from tfssvae.cli.parser import make_parser

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when it was done, 2 for bad input, 1 for anything else."""
    options = make_parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options.run(options)
    except InputError as error:
        return _complain(error, 2)
    except (ConversionError, OSError) as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("interrupted", _INTERRUPTED)
    return 0


def _complain(error, code: int) -> int:
    print(f"tfssvae: {printable(str(error))}", file=sys.stderr)
    return code
