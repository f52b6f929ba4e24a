"""What tests of `tfssvae sweep` share: a space with one best setting, and what a sweep wrote."""

import json
import math

from tfssvae.sweep.space import Choices, Range

SPACE = {
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "latent_dim": Range(2, 40),
    "hidden": Choices(([16], [32, 32])),
}
BASE = ["sweep", "m2", "--data", "digits", "--labels-per-class", "5", "--validation", "200"]
NO_LABELS = ["--labels-per-class", "0"]


def value_of(arguments, seed=0):
    """Return a figure with one best setting, (1e-3, 20, [32, 32])."""
    distance = abs(math.log10(arguments["learning_rate"]) + 3)
    distance += abs(arguments["latent_dim"] - 20) / 20 + (arguments["hidden"] == [16])
    return 1 - distance / 10 + seed / 100


def content(folder):
    """Return sweep.json without what differs between equal sweeps."""
    found = json.loads((folder / "sweep.json").read_text())
    for trial in found["trials"]:
        trial.pop("seconds")
    return {name: found[name] for name in ("settings", "trials", "chosen")}
