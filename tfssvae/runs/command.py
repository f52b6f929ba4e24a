"""Commands that train a run: of options, and of the configuration of another run."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Settings of config.json that are options of `tfssvae train` by the same name, in this order.
_DATA = (
    "labels_per_class",
    "label_fraction",
    "labelled_classes",
    "num_classes",
    "classes",
    "clusters",
    "validation",
    "data_dir",
    "stream",
    "grey",
    "image_size",
    "background",
    "pixel_range",
    "binarize",
    "seed",
)
_RUN = (
    "epochs",
    "labelled",
    "unlabelled",
    "unfeatured",
    "learning_rate",
    "driver",
    "precision",
    "replicas",
    "on_divergence",
)
_CHOICES = {"roll_back": "roll-back"}  # as config.json and the command line write it
# That are options by another name, or change nothing in what is trained.
_NO_SETTINGS = (
    "method",
    "data",
    "model",
    "checkpoint_seconds",
    "checkpoints",
    "tfssvae",
    "test_fingerprint",
    "label_fingerprint",
)


def train_command(method: str, options: Iterable[tuple[str, Any]]) -> str:
    """Return a `tfssvae train` command line.

    Args:
        method: its name.
        options: (Python name, value) of each option, in order; one that may be repeated stands
            there as often. True is the value of those that take none, a list holds the words of
            those that take several.

    >>> options = [("data", "my digits.npz"), ("grey", True), ("image_size", [8, 8]), ("seed", 1)]
    >>> train_command("m2", options)
    "tfssvae train m2 --data 'my digits.npz' --grey --image-size 8 8 --seed 1"
    """
    words = ["tfssvae", "train", method]
    for name, value in options:
        words += [f"--{name.replace('_', '-')}", *words_of(value)]
    return " ".join(map(_quoted, words))


def command_of(config: Mapping[str, Any], folder: Path) -> str:
    """Return the shell command that trains a run with the settings of another.

    Args:
        config: content of config.json.
        folder: the run folder, from whose config.json Python starts the run where an option of
            `tfssvae train` cannot say a setting: a schedule, labels of each class.
    """
    options = _options_of(config)
    if options is None:
        return _python_command(folder)
    return train_command(str(config["method"]), options)


def _options_of(config: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    """Return the options of `tfssvae train` that say a configuration, None where none do."""
    data = {name: value for name, value in config["data"].items() if name != "name"}
    if data.get("unfeatured") == "classes":  # what `--unfeatured` of the run sets too
        del data["unfeatured"]
    rest = {name: value for name, value in config.items() if name not in _NO_SETTINGS}
    options = [("data", config["data"]["name"])]
    for settings, known in ((data, _DATA), (rest, _RUN)):
        for name, value in settings.items():
            unset = value is None or value is False
            if unset or (name in ("validation", "unfeatured") and not value):
                continue
            if name not in known or isinstance(value, dict):
                return None
            options.append((name, _CHOICES.get(value, value) if isinstance(value, str) else value))
    for name, value in config["model"].items():
        if _is_serialised(value):
            return None
        options.append(("set", f"{name}={value!r}"))
    return options


def _is_serialised(value: Any) -> bool:
    """Whether a setting holds an object that Keras has written down, at any depth."""
    if isinstance(value, list | tuple):
        return any(map(_is_serialised, value))
    if isinstance(value, dict):
        return "class_name" in value or any(map(_is_serialised, value.values()))
    return False


def _python_command(folder: Path) -> str:
    config = json.dumps(str(Path(folder).resolve() / "config.json"))
    lines = [
        "import json, pathlib, tfssvae.runs",
        f"config = json.loads(pathlib.Path({config}).read_text())",
        'tfssvae.runs.start_run(pathlib.Path("runs/again"), config)',
    ]
    return f"python -c {shlex.quote(chr(10).join(lines))}"


def words_of(value) -> Sequence[str]:
    """Return the words that a command line has for the value of an option.

    >>> words_of([-1.0, 0.5]), words_of(-1e-05), words_of(True)
    (['-1', '0.5'], ['-0.00001'], [])
    """
    if value is True:
        return []
    return [_word(v) for v in (value if isinstance(value, list | tuple) else [value])]


def _word(value) -> str:
    if not isinstance(value, float):
        return str(value)
    if value.is_integer():
        return str(int(value))
    # argparse takes -1e-05 for an option.
    return str(value) if value > 0 else np.format_float_positional(value, trim="-")


def _quoted(word: str) -> str:
    """Return a word for a shell, in double quotes where it has single ones."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)
