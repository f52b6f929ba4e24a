"""Run the measurements of `benchmarks/`, which come with the source code."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tfssvae.checks import InputError, closest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
NAMES = (
    "drivers",
    "methods",
    "match",
    "likelihood",
    "input",
    "overhead",
    "checks",
    "precision",
    "scaling",
    "serving",
)


def bench(name: str | None, arguments: Sequence[str] = (), out: Path | None = None) -> None:
    """Run a benchmark, or all one after the other, each in a process of its own.

    Args:
        name: of a file in `benchmarks/`; None: all.
        arguments: for the benchmark.
        out: folder for the figures, NAME.json of each.

    Raises:
        InputError: the name is unknown, the files are not there, or a benchmark failed.
    """
    if name is not None and name not in NAMES:
        raise InputError(f'unknown benchmark "{name}": {closest(name, NAMES)}')
    names = NAMES if name is None else (name,)
    files = [FOLDER / f"{each}.py" for each in names]
    if not all(file.is_file() for file in files):
        raise InputError(
            f"the benchmarks come with the source code, and are not in {FOLDER}: install from a "
            "checkout with pip install -e ."
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    failed = []
    for file in files:
        print(f"== {file.stem}", flush=True)
        command = [sys.executable, str(file), *arguments]
        if out is not None:
            command += ["--json", str((out / f"{file.stem}.json").resolve())]
        if subprocess.run(command, check=False).returncode:
            failed.append(file.stem)
    if failed:
        raise InputError(f"failed, see above: {', '.join(failed)}")
