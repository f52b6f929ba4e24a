"""`tfssvae bench`: which files it runs, and what it says where it cannot."""

import json

import pytest

from tfssvae import bench
from tfssvae.cli import main

SCRIPT = """import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--json")
parser.add_argument("--rounds", type=int, default=1)
options = parser.parse_args()
print("measured", options.rounds)
if options.json:
    pathlib.Path(options.json).write_text(json.dumps({"rounds": options.rounds}))
sys.exit(3 if options.rounds == 9 else 0)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Scripts in the place of the benchmarks."""
    for name in bench.NAMES:
        (tmp_path / f"{name}.py").write_text(SCRIPT)
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    return tmp_path


def test_every_name_is_a_file():
    assert all((bench.FOLDER / f"{name}.py").is_file() for name in bench.NAMES)


def test_all_are_run_where_none_is_named(folder, tmp_path, capfd):
    out = tmp_path / "new" / "figures"
    assert main(["bench", "--out", str(out)]) == 0
    assert {file.stem for file in out.iterdir()} == set(bench.NAMES)
    printed = capfd.readouterr().out
    assert printed.count("measured 1") == len(bench.NAMES)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda out: ["--out", out, "input", "--rounds", "3"],
        lambda out: ["input", "--rounds", "3", "--out", out],
    ],
)
def test_one_takes_arguments(folder, tmp_path, capfd, arguments):
    assert main(["bench", *arguments(str(tmp_path))]) == 0
    assert json.loads((tmp_path / "input.json").read_text()) == {"rounds": 3}
    assert "== input\nmeasured 3" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inputs"], 'unknown benchmark "inputs": did you mean "input"'),
        (["input", "--rounds", "9"], "failed, see above: input"),
    ],
)
def test_what_cannot_be_measured_is_said(folder, arguments, message, capfd):
    assert main(["bench", *arguments]) == 2
    assert message in capfd.readouterr().err


def test_an_installation_without_the_source_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "FOLDER", tmp_path / "benchmarks")
    assert main(["bench", "input"]) == 2
    assert "pip install -e ." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("overhead", ["--steps", "0"]),
        ("drivers", ["--rounds", "0"]),
        ("likelihood", ["--samples", "0"]),
        ("input", ["--batch", "0"]),
        ("methods", ["--precision", "float99"]),
        ("precision", ["--data-dir", "/none"]),
        ("scaling", ["--method", "m3"]),
    ],
)
def test_arguments_that_cannot_be_are_named(name, arguments, capfd):
    assert main(["bench", name, *arguments]) == 2
    said = capfd.readouterr().err
    assert f"{name}.py: error:" in said
    assert "Traceback" not in said
