"""When images of tfds are streamed: on request, or because they do not fit, or never."""

import json
import shutil

import numpy as np
import psutil
import pytest

from tests.data.tfds_files import IMAGES, LABELS, store
from tfssvae import runs
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data import load
from tfssvae.data.arrays import make_source
from tfssvae.data.shards import write_shards
from tfssvae.data.tfds_records import TfdsImages
from tfssvae.runs.command import command_of

pytestmark = pytest.mark.xdist_group("streamed tfds")


def test_what_does_not_fit_is_streamed(tfds_dir, monkeypatch, caplog):
    def loaded(available, **arguments):
        memory = psutil.virtual_memory()._replace(available=available)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        return load("tfds:pngs", data_dir=tfds_dir, **arguments)

    size = IMAGES.nbytes
    assert isinstance(loaded(2 * size).x_train, np.ndarray)
    assert "free memory" not in caplog.text
    assert isinstance(loaded(2 * size - 1).x_train, TfdsImages)
    assert "more than half of the free memory" in caplog.text
    for changed in ({"grey": True}, {"image_size": (2, 2)}, {"binarize": "round"}):
        found = loaded(2 * size - 1, **changed)
        assert isinstance(found.x_train, np.ndarray)
        with pytest.raises(InputError, match="tfssvae convert"):
            loaded(2 * size - 1, **changed, stream=True)
    assert isinstance(loaded(2 * size - 1, stream=False).x_train, np.ndarray)
    streamed = loaded(2 * size - 1, binarize="dynamic", classes=["a", "c"])
    assert len(streamed.x_train) == (LABELS != 1).sum()


def test_what_cannot_be_streamed(tfds_dir, tmp_path):
    store(
        tmp_path,
        "ragged",
        lambda f: {"image": f.Image(shape=(None, None, 3))},
        train=[{"image": np.zeros((2, 2, 3), np.uint8)}],
    )
    with pytest.raises(InputError, match=r"varying size.*tfssvae convert"):
        load("tfds:ragged", data_dir=tmp_path, num_classes=2, stream=True)
    store(
        tmp_path,
        "floats",
        lambda f: {"image": f.Image(shape=(2, 2, 1), dtype=np.float32)},
        train=[{"image": np.zeros((2, 2, 1), np.float32)}],
    )
    with pytest.raises(InputError, match=r"float32, not Image of uint8.*tfssvae convert"):
        load("tfds:floats", data_dir=tmp_path, num_classes=2, stream=True)
    other = shutil.copytree(tfds_dir, tmp_path / "other")
    info = other / "jpegs" / "1.0.0" / "dataset_info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "fileFormat": "riegeli"}))
    with pytest.raises(InputError, match=r"files are riegeli, not tfrecord.*tfssvae convert"):
        load("tfds:jpegs", data_dir=other, stream=True)
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    for name in ("digits", str(tmp_path / "a.npz"), str(tmp_path)):
        with pytest.raises(InputError, match=r"cannot be streamed.*tfssvae convert"):
            load(name, stream=True)


def test_shards_are_held_in_memory_on_request(tmp_path):
    write_shards(tmp_path / "shards", make_source(IMAGES, LABELS, name="small"))
    assert not isinstance(load(tmp_path / "shards", stream=True).x_train, np.ndarray)
    held = load(tmp_path / "shards", stream=False, binarize="round")
    np.testing.assert_array_equal(held.x_train, np.where(IMAGES < 128, 0, 255))


def test_the_command_line_streams(tfds_dir, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(runs, "start_run", lambda folder, config, say: started.append(config))
    given = ["train", "m2", "--data", "tfds:pngs", "--data-dir", str(tfds_dir)]
    for choice, kind in (("--stream", TfdsImages), ("--no-stream", np.ndarray)):
        assert main([*given, choice]) == 0
        assert isinstance(load(**started[-1]["data"]).x_train, kind)
    assert "--stream" in command_of(started[0], "run").split()
    monkeypatch.undo()
    assert main(["train", "m2", "--data", "digits", "--stream", "--out", "third"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
