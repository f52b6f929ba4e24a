"""The roads on which data reach a model: each sends the same rows and returns what comes out.

What comes out is the loss and its terms, except where a road has none: class probabilities and
pictures of an exported model, class probabilities of `SSVAEClassifier`.
"""

import functools
import http.client
import json
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import keras
import numpy as np
import pandas
import polars
import tensorflow as tf
from PIL import Image

import tfssvae
from tests.data.tfds_files import store
from tests.roads.wrong_values import CLASSES, K, Rows
from tfssvae.cli import main


class Place(NamedTuple):
    """Where rows pass: an empty folder, an exported model, and the port of its server."""

    folder: Path
    exported: Path
    port: int


class Refused(Exception):
    """The answer of a server that is an error."""


@functools.cache
def model_of(*shape: int, jit_compile: bool = False) -> tfssvae.models.M2:
    """Return the smallest M2 of examples of a shape, compiled; tests leave its weights alone."""
    model = tfssvae.models.M2(shape, K, latent_dim=2, hidden=(8,), seed=0)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    return model


def _logs(model, *arguments, **options) -> np.ndarray:
    logs = model.evaluate(*arguments, verbose=0, return_dict=True, **options)
    return np.array([logs[name] for name in sorted(logs)])


def _packed(rows: Rows) -> tuple:
    return tuple(rows[:2] if rows.weights is None else rows)


# In memory -----------------------------------------------------------------------------------


def array(rows: Rows, place: Place) -> np.ndarray:
    """Send numpy arrays."""
    return _logs(model_of(8, 8, 1), rows.x, rows.y, sample_weight=rows.weights)


def tensor(rows: Rows, place: Place) -> np.ndarray:
    """Send tensors, one batch, as a loop of one's own does."""
    batch = [None if values is None else tf.constant(values) for values in rows]
    logs = model_of(8, 8, 1).test_on_batch(*batch, return_dict=True)
    return np.array([float(logs[name]) for name in sorted(logs)])


def pandas_frame(rows: Rows, place: Place) -> np.ndarray:
    """Send a table of pandas, and its labels as a series."""
    x = pandas.DataFrame(rows.x.reshape(len(rows.x), -1))
    return _logs(model_of(64), x, pandas.Series(rows.y), sample_weight=rows.weights)


def polars_frame(rows: Rows, place: Place) -> np.ndarray:
    """Send a table of polars, and its labels as a series."""
    x = polars.DataFrame(rows.x.reshape(len(rows.x), -1))
    return _logs(model_of(64), x, polars.Series(rows.y), sample_weight=rows.weights)


def classifier(rows: Rows, place: Place) -> np.ndarray:
    """Fit an estimator of scikit-learn, and predict."""
    found = tfssvae.SSVAEClassifier(epochs=1, latent_dim=2, hidden=(8,), random_state=0)
    return found.fit(rows.x, rows.y, rows.weights).predict_proba(rows.x)


# In batches ----------------------------------------------------------------------------------


def pipeline_of(rows: Rows) -> tf.data.Dataset:
    """Return one batch, whose parts may differ in length."""
    return tf.data.Dataset.from_tensors(_packed(rows))


def tf_data(rows: Rows, place: Place) -> np.ndarray:
    """Send a pipeline of batches of a known shape."""
    return _logs(model_of(8, 8, 1), pipeline_of(rows))


def generator(rows: Rows, place: Place) -> np.ndarray:
    """Send a generator, of which Keras makes a pipeline whose batches may have any size."""
    return _logs(model_of(8, 8, 1), (batch for batch in [_packed(rows)]), steps=1)


class _Batches(keras.utils.PyDataset):
    def __init__(self, batch):
        super().__init__()
        self._batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self._batch


def py_dataset(rows: Rows, place: Place) -> np.ndarray:
    """Send a `keras.utils.PyDataset`."""
    return _logs(model_of(8, 8, 1), _Batches(_packed(rows)))


# From files ----------------------------------------------------------------------------------


def _loss_of(data) -> np.ndarray:
    assert data.num_classes == K
    return _logs(model_of(8, 8, 1), data.x_train[:], data.y_train)


def _write_npz(rows: Rows, folder: Path) -> Path:
    np.savez(folder / "data.npz", x_train=rows.x, y_train=rows.y, class_names=CLASSES)
    return folder / "data.npz"


def npz(rows: Rows, place: Place) -> np.ndarray:
    """Load an npz file."""
    return _loss_of(tfssvae.data.load(_write_npz(rows, place.folder)))


def shards(rows: Rows, place: Place) -> np.ndarray:
    """Convert an npz file to shards, and load those."""
    _command_line("convert", _write_npz(rows, place.folder), place.folder / "shards")
    return _loss_of(tfssvae.data.load(place.folder / "shards"))


def image_folder(rows: Rows, place: Place) -> np.ndarray:
    """Load a folder of pictures: of 16 bits for integers that are wider than a byte."""
    for number, (pixels, label) in enumerate(zip(rows.x[..., 0], rows.y, strict=True)):
        file = place.folder / "train" / CLASSES[label] / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        if pixels.dtype.kind == "U":
            file.write_text(str(pixels))
        else:
            Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype("u2")).save(file)
    return _loss_of(tfssvae.data.load(place.folder))


def tfds(rows: Rows, place: Place) -> np.ndarray:
    """Load a data set of tfds: images in PNG where it knows them as such, else as tensors."""
    images = rows.x.astype(object) if rows.x.dtype.kind == "U" else rows.x
    shape, dtype = rows.x.shape[1:], images.dtype
    in_png = dtype == np.uint8 and shape[-1] == 1
    text = rows.y.dtype.kind == "U"
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        store(
            place.folder,
            "rows",
            lambda f: {
                "image": f.Image(shape=shape) if in_png else f.Tensor(shape=shape, dtype=dtype),
                # Not a ClassLabel, which tfds checks itself.
                "label": f.Text() if text else f.Scalar(dtype=rows.y.dtype),
            },
            train=[{"image": x, "label": y} for x, y in zip(images, rows.y.tolist(), strict=True)],
        )
    return _loss_of(tfssvae.data.load("tfds:rows", data_dir=place.folder, num_classes=K))


def _command_line(*arguments) -> None:
    """Run a command; a refusal is its exit code, 2, and its one line on standard error."""
    errors = StringIO()
    with redirect_stderr(errors), redirect_stdout(StringIO()):
        code = main([str(argument) for argument in arguments])
    if code:
        assert code == 2
        (line,) = errors.getvalue().splitlines()
        raise Refused(line.removeprefix("tfssvae: "))


class _Arrived(Exception):
    """Training would begin."""


def command_line(rows: Rows, place: Place) -> np.ndarray:
    """Start `tfssvae train` of an npz file, up to the first step."""
    file = _write_npz(rows, place.folder)
    small = ["--set", "hidden=(8,)", "--set", "latent_dim=2", "--out", place.folder / "run"]
    begin = mock.patch("tfssvae.runs.train.drive", side_effect=_Arrived)
    with begin as drive, suppress(_Arrived):
        _command_line("train", "m2", "--data", file, *small)
    _, _, data, *_ = drive.call_args.args
    return _loss_of(data)


# Exported ------------------------------------------------------------------------------------


def exported_model(rows: Rows, place: Place) -> np.ndarray:
    """Call the signatures of a SavedModel: images to be classified, labels to be drawn."""
    signatures = _loaded(place.exported)
    images, labels = (tf.constant(values) for values in rows[:2])
    classify = signatures["classify_float" if images.dtype.is_floating else "classify"]
    if labels.dtype == tf.int64:
        labels = tf.cast(labels, tf.int32)
    seed = tf.constant(0)
    return _joined(classify(images=images), signatures["generate"](labels=labels, seed=seed))


@functools.cache
def _loaded(version: Path):
    return tf.saved_model.load(str(version)).signatures


def served_model(rows: Rows, place: Place) -> np.ndarray:
    """Ask a server for the same, in JSON."""
    signature = "classify_float" if rows.x.dtype.kind == "f" else "classify"
    return _joined(
        _ask(place, signature, images=rows.x.tolist()),
        _ask(place, "generate", labels=rows.y.tolist(), seed=0),
    )


def _ask(place: Place, signature: str, **inputs) -> dict:
    body = json.dumps({"signature_name": signature, "inputs": inputs})
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)) as connection:
        connection.request("POST", "/v1/models/m2:predict", body)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    if answer.status != 200:
        assert answer.status == 400
        raise Refused(found["error"])
    outputs = found["outputs"]
    return outputs if isinstance(outputs, dict) else {"images": outputs}


def _joined(*answers) -> np.ndarray:
    values = [answer[name] for answer in answers for name in sorted(answer)]
    return np.concatenate([np.ravel(value).astype(np.float32) for value in values])


ROADS = {
    "numpy array": array,
    "tensor": tensor,
    "pandas frame": pandas_frame,
    "polars frame": polars_frame,
    "`SSVAEClassifier`": classifier,
    "`tf.data`": tf_data,
    "generator": generator,
    "`PyDataset`": py_dataset,
    "npz file": npz,
    "folder of pictures": image_folder,
    "`tfds:NAME`": tfds,
    "shards": shards,
    "command line": command_line,
    "exported model": exported_model,
    "served model": served_model,
}
