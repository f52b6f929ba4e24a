"""The command that makes a run again."""

import json
import shlex
from pathlib import Path
from typing import Any

# Settings of `tfssvae train` -> option; what is not here nor below has no option.
_DATA_OPTIONS = {
    "name": "--data",
    "labels_per_class": "--labels-per-class",
    "label_fraction": "--label-fraction",
    "labelled_classes": "--labelled-classes",
    "clusters": "--clusters",
    "validation": "--validation",
    "data_dir": "--data-dir",
    "stream": "--stream",
    "grey": "--grey",
    "image_size": "--image-size",
    "binarize": "--binarize",
    "seed": "--seed",
}
_OPTIONS = {
    "epochs": "--epochs",
    "labelled": "--labelled",
    "unlabelled": "--unlabelled",
    "unfeatured": "--unfeatured",
    "learning_rate": "--learning-rate",
    "driver": "--driver",
    "precision": "--precision",
    "on_divergence": "--on-divergence",
}
_CHOICES = {"roll_back": "roll-back"}  # as config.json and the command line write it
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


def command_of(config: dict[str, Any], folder: Path) -> str:
    """Return the shell command that trains a run with the settings of another.

    Args:
        config: content of config.json.
        folder: the run folder, from whose config.json Python starts the run where an option of
            `tfssvae train` cannot say a setting: a schedule, labels of each class.
    """
    return _train_command(config) or _python_command(folder)


def _train_command(config: dict[str, Any]) -> str | None:
    words = ["tfssvae", "train", str(config["method"])]
    data, rest = config["data"], {k: v for k, v in config.items() if k not in _NO_SETTINGS}
    # `--unfeatured` sets both.
    data = {k: v for k, v in data.items() if k != "unfeatured" or (v and v != "classes")}
    for settings, options in ((data, _DATA_OPTIONS), (rest, _OPTIONS)):
        for name, value in settings.items():
            unset = value is None or value is False
            if unset or (name in ("validation", "unfeatured") and not value):
                continue
            if name not in options or isinstance(value, dict):
                return None
            words.append(options[name])
            if value is not True:
                parts = value if isinstance(value, list | tuple) else [value]
                words += [_CHOICES.get(part, str(part)) for part in parts]
    for name, value in config["model"].items():
        if _is_serialised(value):
            return None
        words += ["--set", f"{name}={value!r}"]
    return shlex.join(words)


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
