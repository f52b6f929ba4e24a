"""The command line: `tfssvae` or `python -m tfssvae`.

TensorFlow is imported only by the command that needs it, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence

from tfssvae.checks import ConversionError, InputError
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
    # Names in files may hold what steers a terminal, or what it cannot show.
    text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(error))
    print(f"tfssvae: {text}", file=sys.stderr)
    return code
