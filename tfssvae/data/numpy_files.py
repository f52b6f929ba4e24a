"""What reading a damaged file of numpy can do."""

import contextlib
import lzma
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

# What zipfile and numpy raise on bytes that are not what they should be: RuntimeError for bits that
# seem to say "encrypted" or "another compression", MemoryError for absurd shapes, TokenError for
# headers that are nearly Python.
DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    TypeError,
    KeyError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Leave out numpy's warnings about headers, which say less than the refusal that follows."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
