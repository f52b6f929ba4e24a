"""How long fuzzing takes: the same few examples in the suite, new ones for as long as is asked.

`FUZZ_EXAMPLES=5000 pytest tests/fuzz -m "not slow"` searches for long, as does `-m slow`;
`FUZZ_SECONDS=900 pytest tests/fuzz/test_fuzz_rows.py` for so long in each test. A failing example
is printed, and belongs into a plain test beside those of the module at fault.
"""

import os
import resource

import pytest
from hypothesis import HealthCheck, settings

from tfssvae import limits

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
_FOR_LONG = bool(_EXAMPLES or os.environ.get("FUZZ_SECONDS"))
settings.register_profile(
    "fuzz",
    max_examples=_EXAMPLES or 60,
    derandomize=not _FOR_LONG,
    database=None,
    deadline=10_000,  # ms: what hangs fails
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("fuzz")

_ADDRESSES = 4 * 2**30


@pytest.fixture(autouse=True)
def bounded_memory():
    """Four gigabytes beyond what is in use: who asks for more fails, and not the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESSES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(autouse=True)
def low_limits(monkeypatch):
    """Limits that small files can reach, so that what lies beyond them is tried as well."""
    monkeypatch.setattr(limits, "CLASSES", 1000)
