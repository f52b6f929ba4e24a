"""A run made complete: started, continued, or found finished."""

import json
import re
from pathlib import Path
from typing import Any

from tfssvae.checks import InputError
from tfssvae.runs.folder import read_config, read_metrics
from tfssvae.runs.train import resume_run, start_run
from tfssvae.training.messages import Say, to_people


def complete_run(folder: Path, config: dict[str, Any], say: Say = to_people) -> dict[str, Any]:
    """Return the metrics of a run: of the finished one, or after training the rest of it.

    Args:
        folder: the run folder, new or left by an earlier call with the same configuration.
        config: see `start_run`.
        say: receives what there is to say at each stage, for people or for machines.

    Raises:
        InputError: the folder holds a run with other settings, or `start_run` refuses these.
        DivergenceError: training diverged.
    """
    if not (folder / "config.json").exists():
        return start_run(folder, config, say)
    found, asked = read_config(folder), json.loads(json.dumps(config))
    # What is left to the data (None) was filled in by `start_run`.
    settings = {key: value for key, value in asked.items() if value is not None}
    different = sorted(
        key for key in settings if unnumbered(found.get(key)) != unnumbered(settings[key])
    )
    if different:
        raise InputError(
            f"{folder} was run with another {', '.join(different)}: choose another --out"
        )
    if (folder / "metrics.json").exists():
        say("finished before")
        return read_metrics(folder)
    return resume_run(folder, say)


def unnumbered(value):
    """Return a setting without the numbers that Keras puts behind names, at any depth."""
    if isinstance(value, list):
        return [unnumbered(part) for part in value]
    if not isinstance(value, dict):
        return value
    found = {key: unnumbered(part) for key, part in value.items()}
    config = found.get("config")
    if "class_name" in found and isinstance(config, dict) and isinstance(config.get("name"), str):
        found["config"] = {**config, "name": re.sub(r"_\d+$", "", config["name"])}
    return found
