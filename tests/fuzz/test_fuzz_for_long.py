"""The searches of this folder with examples that no run has seen before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_new_examples_are_read_or_refused():
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", str(Path(__file__).parent)]
    environment = {**os.environ, "FUZZ_EXAMPLES": "2500"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
