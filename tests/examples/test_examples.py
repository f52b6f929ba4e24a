"""Every example runs as it stands and prints what it promises."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example_runs(path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    accuracies = [float(text) for text in re.findall(r"([\d.]+)%", capsys.readouterr().out)]
    alone, with_unlabelled = accuracies
    assert 70 < alone < with_unlabelled
