"""Run the measurements of `benchmarks/`, which come with the source code."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tfssvae.checks import InputError, closest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
NAMES = ("drivers", "methods", "convolutions", "likelihood", "input", "serving")


def bench(names: Sequence[str], arguments: Sequence[str] = (), out: Path | None = None) -> None:
    """Run benchmarks one after the other, each in a process of its own.

    Args:
        names: of files in `benchmarks/`; all where there are none.
        arguments: for the benchmark, of which there must then be one.
        out: folder for the figures, NAME.json of each.

    Raises:
        InputError: a name is unknown, arguments are for nobody in particular, the files are not
            there, or a benchmark failed.
    """
    for name in names:
        if name not in NAMES:
            raise InputError(f'unknown benchmark "{name}": {closest(name, NAMES)}')
    if arguments and len(names) != 1:
        raise InputError("further arguments are for one benchmark: name it first")
    if not FOLDER.is_dir():
        raise InputError(
            f"the benchmarks come with the source code, and there is no {FOLDER}: install from a "
            "checkout with pip install -e ."
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
        if out is not None:
            command += ["--json", str((out / f"{name}.json").resolve())]
        if subprocess.run(command, check=False).returncode:
            raise InputError(f'the benchmark "{name}" failed: see above')
