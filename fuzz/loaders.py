"""Search with coverage for bytes that a loader does not expect, one loader at a time.

    pip install -e ".[fuzz]"
    python fuzz/loaders.py npz -max_total_time=600 [further options of libFuzzer]

What is found is written to `crash-...` in the working folder; give that file instead of options to
run it again. It belongs into a plain test beside those of the module at fault.
"""

import io
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import atheris

with atheris.instrument_imports(include=["tfssvae", "zipfile", "numpy.lib._format_impl"]):
    import numpy as np

    from tfssvae import checked_json, limits
    from tfssvae.checks import InputError
    from tfssvae.cli.arguments import assignments
    from tfssvae.data import npz, shards, splits

_ROWS = {"x_train": np.zeros((4, 2, 2), np.uint8), "y_train": np.array([0, 1, 2, -1])}
_SPLIT = {
    **{"format": 1, "name": "d", "n": 4, "seed": 0, "fingerprint": "f"},
    **{"labelled": [0], "validation": [1]},
}
_CONFIG = {
    **{"method": "m2", "data": {"name": "digits", "seed": 0}, "model": {}, "epochs": 1},
    **{"driver": "loop", "labelled": 1, "learning_rate": 0.1, "likelihood_samples": [1]},
}
_METRICS = {
    **{"seconds": 1.0, "history": {"loss": [1.0]}, "environment": {"python": "3"}},
    **{"test": {"accuracy": 1, "recall": {"0": 1.0}}, "labels_alone": {"accuracy": 1}},
}
_STATE = {
    **{"epoch": 1, "step": 1, "seconds": 1.0, "history": {"loss": [1.0]}, "metrics": [1.0]},
    **{"best": None, "context": {"config": {}, "rollbacks": []}},
}
_MANIFEST = {
    **{"format": 1, "name": "s", "shape": [2, 2, 1], "dtype": "uint8", "fingerprint": "f"},
    **{"class_names": ["a", "b"], "train": [2, 2]},
}


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, **_ROWS)
    return file.getvalue()


def _plain_npz(content: bytes) -> None:
    """Read bytes as an array inside an archive that is whole: no search finds checksums."""
    with zipfile.ZipFile(_FOLDER / "data.npz", "w") as archive:
        archive.writestr("x_train.npy", content)
        archive.writestr("y_train.npy", _npy(_ROWS["y_train"]))
        archive.writestr("class_names.npy", content)
    npz.read_npz(_FOLDER / "data.npz")


def _npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _in_file(name: str, read):
    def run(content: bytes) -> None:
        (_FOLDER / name).write_bytes(content)
        read(_FOLDER / name)

    return run


def _text(content: bytes) -> None:
    assignments(content.decode("utf-8", "surrogateescape").split("\x1f"))


def _json(value) -> bytes:
    return json.dumps(value).encode()


_FOLDER = Path(tempfile.mkdtemp(prefix="tfssvae-fuzz-", dir=os.environ.get("FUZZ_FOLDER")))
# name -> what is done with the bytes, and a whole file to begin with
_TARGETS = {
    "npz": (_in_file("data.npz", npz.read_npz), _npz()),
    "npy": (_plain_npz, _npy(_ROWS["x_train"])),
    "split": (_in_file("split.json", splits.load_split), _json(_SPLIT)),
    "config": (_in_file("config.json", checked_json.read_config), _json(_CONFIG)),
    "metrics": (_in_file("metrics.json", checked_json.read_metrics), _json(_METRICS)),
    "state": (_in_file("state.json", checked_json.read_state), _json(_STATE)),
    "manifest": (
        _in_file(shards.MANIFEST, lambda path: shards.read_shards(path.parent)),
        _json(_MANIFEST),
    ),
    "set": (_text, b"latent_dim=20\x1fhidden=(256,256)\x1fweights={'*_kl_z': 2.0}"),
}


def main(arguments: list[str]) -> None:
    """Search in one target until libFuzzer's options say to stop."""
    if len(arguments) < 2 or arguments[1] not in _TARGETS:
        sys.exit(f"usage: {arguments[0]} {'|'.join(_TARGETS)} [options of libFuzzer]")
    run, whole = _TARGETS[arguments[1]]
    limits.CLASSES = 1000
    corpus = _FOLDER / "corpus"
    corpus.mkdir()
    (corpus / "whole").write_bytes(whole)
    for number in range(2):  # parts that a manifest speaks of
        (_FOLDER / f"train-0000{number}-of-00002.tfrecord").write_bytes(bytes(64))
    np.save(_FOLDER / "train-labels.npy", np.array([0, 1, 0, 1], np.int32))
    np.save(_FOLDER / "train-offsets.npy", np.array([0, 8, 0, 8], np.int64))

    def one(content: bytes) -> None:
        try:
            run(content)
        except InputError as error:
            if "\n" in str(error) or len(str(error)) > 3000:
                raise AssertionError("not one sentence") from error

    files = [argument for argument in arguments[2:] if not argument.startswith("-")]
    options = [
        "-rss_limit_mb=4096",
        "-timeout=10",
        *arguments[2:],
        *([] if files else [str(corpus)]),
    ]
    atheris.Setup([arguments[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
