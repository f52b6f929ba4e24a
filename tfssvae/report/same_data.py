"""Whether runs were measured on the same test data: figures of others do not compare."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfssvae.checks import InputError
from tfssvae.data import Data, load_split
from tfssvae.report.groups import Finished
from tfssvae.runs import load_run_data

# Which labels are shown, how examples are drawn and where they lie does not change the test data.
_NOT_OF_TEST_DATA = (
    *("labels_per_class", "label_fraction", "labelled_classes", "validation", "unfeatured"),
    *("clusters", "num_classes", "stream"),
)


def check_same_test_data(runs: Sequence[Finished]) -> None:
    """Refuse runs that were measured on different test data.

    Data that are named alike and have one fingerprint are loaded once.

    Raises:
        InputError: saying which two runs and how they differ; or the data of a run changed.
    """
    known: dict[str, dict[str, str]] = {}
    first: dict[str, str] | None = None
    for run in runs:
        key = _source(run)
        if key not in known:
            known[key] = signature(load_run_data(run.folder, run.config))
        found = known[key]
        first = found if first is None else first
        different = [
            f"{part} {found[part]}, not {first[part]}"
            for part in found
            if found[part] != first[part]
        ]
        if different:
            raise InputError(
                f"{run.folder} was not measured on the test data of {runs[0].folder}: "
                f"{'; '.join(different)}"
            )


def signature(data: Data) -> dict[str, str]:
    """Return what tells test data from other: part -> text. Of none, the training data's."""
    shape = " x ".join(map(str, data.input_shape))
    if data.x_test is None or data.y_test is None:
        return {
            "training examples": f"{len(data.x_train):,} of {shape} ({data.fingerprint[:8]})",
            "test examples": "none",
        }
    names = [data.class_names[k] for k in np.unique(data.y_test[data.y_test >= 0])]
    pixels = data.binarize or "as they are"
    found = {
        "test examples": f"{len(data.x_test):,} of {shape}",
        "pixels": pixels,
        "classes": f"{len(names):,} ({_hash(json.dumps(names).encode())})",
        "labels": _hash(np.asarray(data.y_test, "int64").tobytes()),
    }
    if data.binarize != "fixed":  # whose pixels are drawn by the seed
        found["images"] = _hash(np.ascontiguousarray(data.x_test).tobytes())
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _source(run: Finished) -> str:
    data: dict[str, Any] = {
        k: v for k, v in run.config["data"].items() if k not in _NOT_OF_TEST_DATA
    }
    if data.get("binarize") != "fixed":
        data.pop("seed", None)
    fingerprint = load_split(run.folder / "split.json").get("fingerprint")
    return json.dumps([data, fingerprint], sort_keys=True, default=str)
