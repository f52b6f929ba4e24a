"""What is read from a run folder and written into it."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from tfssvae import checked_json
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data, load, load_split
from tfssvae.data.splits import fingerprint
from tfssvae.model_files import load_model
from tfssvae.training.checkpoints import load_best
from tfssvae.training.messages import finite


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but the traces of a start that was cut off."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        raise InputError(f"{nearest} may not be written to: choose another --out")
    if not folder.exists():
        return
    if not folder.is_dir() or not all(map(_of_a_start, folder.iterdir())):
        raise InputError(
            f"{folder} exists already: choose another --out, or continue it with "
            f"tfssvae train --resume {folder}"
        )


def _of_a_start(entry: Path) -> bool:
    """Whether a start that was cut off leaves such a file: the split, the lock, half a file."""
    return entry.name == "split.json" or entry.name.startswith(".")


def read_config(folder: Path | str) -> dict[str, Any]:
    """Return the configuration of a run.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = Path(folder) / "config.json"
    if not path.exists():
        raise InputError(f"{folder} is not a run folder: it has no config.json")
    return checked_json.read_config(path)


def read_metrics(folder: Path | str) -> dict[str, Any]:
    """Return metrics.json of a finished run.

    Raises:
        InputError: the folder is not a run, it is not finished, or the file is damaged.
    """
    path = Path(folder) / "metrics.json"
    if not path.exists():
        read_config(folder)
        raise InputError(
            f"{folder} is not finished: continue it with tfssvae train --resume {folder}"
        )
    return checked_json.read_metrics(path)


def load_run_data(folder: Path | str, config: dict[str, Any]) -> Data:
    """Load the data of a run with the labels that it saw.

    Raises:
        InputError: the data changed since the run was started.
    """
    chosen = ("labels_per_class", "label_fraction", "labelled_classes", "validation")
    arguments = {name: value for name, value in config["data"].items() if name not in chosen}
    split = load_split(Path(folder) / "split.json")
    try:
        data = load(**arguments, split=split)
        for name, found in fingerprints(data).items():
            if config.get(name, found) != found:
                part = "test data" if name.startswith("test") else "training labels"
                raise InputError(
                    f"the {part} of {folder} have changed: put back those of its start"
                )
        return data
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{Path(folder) / 'config.json'} is damaged: {error}") from None


def fingerprints(data: Data) -> dict[str, str | None]:
    """Return what the split does not tell of data: their test part, and the labels of shards.

    Returns:
        "test_fingerprint", None without test data, and "label_fingerprint" of all training labels.
    """
    labels = np.ascontiguousarray(data.hidden_labels, "<i4")
    tested = None
    if data.x_test is not None:
        tested = fingerprint(data.x_test, np.asarray(data.y_test))
    return {
        "test_fingerprint": tested,
        "label_fingerprint": hashlib.sha256(labels.tobytes()).hexdigest(),
    }


def load_run(folder: Path | str, best: bool = False) -> tuple[SemiSupervisedVAE, Data]:
    """Load the trained model of a run, and its data with the labels that it saw.

    Args:
        folder: of the run.
        best: whether to take the weights of the best epoch instead of the last; the best is that
            of the highest accuracy on the validation data, of the highest bound where these have
            no labels.

    Raises:
        InputError: the run has no model yet, or no best epoch, or it is damaged.
    """
    path = Path(folder) / "model.keras"
    if not path.exists():
        read_config(folder)
        raise InputError(
            f"{folder} has no model yet: finish it with tfssvae train --resume {folder}"
        )
    try:
        model = load_model(path)
    except InputError as error:
        raise InputError(
            f"{error}; delete it and metrics.json, and tfssvae train --resume {folder} makes it "
            "again from the last checkpoint"
        ) from error
    if not isinstance(model, SemiSupervisedVAE):
        raise InputError(f"{path} holds a {type(model).__name__}, which is no method of tfssvae")
    if best:
        load_best(model, Path(folder) / "checkpoints")
    return model, load_run_data(folder, read_config(folder))


def write_json(path: Path, content: Any) -> None:
    """Write a file that is either whole or not there; what is not finite becomes null."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(finite(content), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
