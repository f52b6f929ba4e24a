"""tensorflow-datasets whose images stay in the files of tfds: the same rows as in memory."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

import tfssvae
from tests.data.tfds_files import rows, store
from tfssvae import runs
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data import load, tfds_records
from tfssvae.data.arrays import make_source
from tfssvae.data.shards import ShardedImages, write_shards
from tfssvae.data.tfds_records import TfdsImages
from tfssvae.runs.command import command_of
from tfssvae.training import train

N, SHARDS = 1000, 20  # more files than tfds reads by turns, and more rows in each than at a turn
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 4, 5, 1), dtype=np.uint8)
LABELS = np.arange(N) % 3


def features(image):
    return lambda f: {
        "image": f.Image(**image),
        "label": f.ClassLabel(names=["a", "b", "c"]),
        "kind": f.Scalar(np.int64),
        "word": f.Text(),
    }


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Data in PNG and many files in an order of tfds, and in JPEG and some files as they came."""
    folder = tmp_path_factory.mktemp("tfds")
    test = rows(IMAGES[:7], LABELS[:7])
    store(
        folder,
        "pngs",
        features({"shape": (4, 5, 1)}),
        shards=SHARDS,
        shuffled=True,
        train=rows(IMAGES, LABELS),
        test=test * 3,
    )
    smooth = np.clip(np.cumsum(RNG.normal(0, 20, (60, 16, 8, 3)), axis=1) + 128, 0, 255)
    store(
        folder,
        "jpegs",
        features({"shape": (16, 8, 3), "encoding_format": "jpeg"}),
        shards=3,
        train=rows(smooth.astype(np.uint8), LABELS[: len(smooth)]),
    )
    return folder


@pytest.fixture(scope="module", params=["pngs", "jpegs"])
def both(request, data_dir):
    """The same data in memory and streamed."""
    return [
        load(f"tfds:{request.param}", labels_per_class=5, data_dir=data_dir, stream=stream)
        for stream in (False, True)
    ]


@pytest.fixture(scope="module")
def pngs(data_dir):
    return [
        load("tfds:pngs", labels_per_class=20, data_dir=data_dir, stream=stream)
        for stream in (False, True)
    ]


def test_rows_and_labels_are_those_in_memory(both):
    plain, streamed = both
    assert isinstance(plain.x_train, np.ndarray)
    assert isinstance(streamed.x_train, TfdsImages)
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    for part in ("hidden_labels", "y_train", "labelled_indices", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(streamed, part), getattr(plain, part))
    assert repr(streamed) == repr(plain)
    for key in (3, -1, slice(30, 5, -4), [5, 39, 5], [[1, 2], [-3, 4]], [], (slice(2, 5), 0)):
        found = streamed.x_train[key]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, plain.x_train[key])
    assert (streamed.x_train.nbytes, streamed.x_train.shape) == (
        plain.x_train.nbytes,
        plain.x_train.shape,
    )


def test_the_order_is_one_of_many_files_by_turns(pngs):
    places = pngs[1].x_train._file_of
    assert sorted(set(places)) == list(range(SHARDS))
    assert (np.diff(places) < 0).any(), "else the order would not have been put to the test"


def test_data_without_labels(data_dir, tmp_path):
    store(
        tmp_path,
        "bare",
        lambda f: {"image": f.Image(shape=(4, 5, 1))},
        shards=3,
        shuffled=True,
        train=[{"image": x} for x in IMAGES[:90]],
    )
    plain, streamed = (
        load("tfds:bare", data_dir=tmp_path, num_classes=2, stream=stream)
        for stream in (False, True)
    )
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    assert (streamed.hidden_labels == -1).all()
    with pytest.raises(InputError, match='feature "word" is not one integer per image'):
        load("tfds:pngs", data_dir=data_dir, label_key="word", stream=True)


def test_images_of_some_classes_stay_in_their_files(data_dir, tmp_path):
    chosen = {"classes": ["c", "a"], "labels_per_class": 5}
    plain, streamed = (
        load("tfds:pngs", data_dir=data_dir, stream=stream, **chosen) for stream in (False, True)
    )
    assert isinstance(streamed.x_train, TfdsImages)
    assert streamed.fingerprint == plain.fingerprint
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    np.testing.assert_array_equal(streamed.y_train, plain.y_train)
    sharded = load(
        write_shards(tmp_path / "shards", make_source(IMAGES, LABELS, name="small")),
        classes=[2, 0],
    ).x_train
    assert isinstance(sharded, ShardedImages)
    np.testing.assert_array_equal(np.asarray(sharded), IMAGES[LABELS != 1])


@pytest.mark.parametrize("one", [0, 1])
def test_a_split_is_of_either(pngs, data_dir, tmp_path, one, monkeypatch):
    assert pngs[one].fingerprint == pngs[1 - one].fingerprint
    pngs[one].save_split(tmp_path / "split.json")
    split = tmp_path / "split.json"
    found = load("tfds:pngs", data_dir=data_dir, split=split, stream=not one)
    np.testing.assert_array_equal(found.labelled_indices, pngs[one].labelled_indices)
    monkeypatch.setattr(TfdsImages, "_read", None)
    assert found.fingerprint == pngs[one].fingerprint, "images are read once for it"


@pytest.mark.parametrize("driver", ["loop", "streamed loop", "fit"])
def test_training_sees_the_same_batches(pngs, driver):
    weights = []
    for data in pngs:
        model = tfssvae.models.M2(data.input_shape, 3, 2, (8,), seed=1)
        model.compile(keras.optimizers.Adam(1e-3))
        if driver == "fit":
            model.fit(data.train(20, 100), epochs=1, verbose=0)
        else:
            resident = None if driver == "loop" else False
            train(model, data, 1, 20, 100, resident=resident, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_images_are_not_held(tmp_path):
    flat = [
        {"image": np.full((64, 64, 3), value, np.uint8), "label": np.int64(value % 2)}
        for value in range(250)
    ]
    store(
        tmp_path,
        "flat",
        lambda f: {"image": f.Image(shape=(64, 64, 3)), "label": f.ClassLabel(num_classes=2)},
        train=flat,
    )
    load("tfds:flat", data_dir=tmp_path, stream=True)  # what it imports is not counted
    tracemalloc.start()
    try:
        x = load("tfds:flat", data_dir=tmp_path, stream=True).x_train
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for start in range(0, 250, 10):
            assert x[start : start + 10][:, 0, 0, 0].tolist() == [*range(start, start + 10)]
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert before < x.nbytes / 2
    assert peak - before < x.nbytes / 5
    assert held - before < x.nbytes / 10
    assert len(pickle.dumps(x)) < x.nbytes / 100
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(x))[5], flat[5]["image"])


def test_threads_read_at_once(pngs):
    plain, streamed = pngs
    batches = [RNG.permutation(N)[: 10 + 30 * size] for size in range(20)]
    with ThreadPoolExecutor(8) as threads:
        for found, batch in zip(
            threads.map(streamed.x_train.__getitem__, batches), batches, strict=True
        ):
            np.testing.assert_array_equal(found, plain.x_train[batch])


def test_reading_goes_on_when_python_ends(pngs, monkeypatch):
    ended = ThreadPoolExecutor(1)
    ended.shutdown()
    monkeypatch.setattr(tfds_records, "_threads", lambda: ended)
    np.testing.assert_array_equal(pngs[1].x_train[:200], pngs[0].x_train[:200])


def test_threads_that_read_build_no_graph(pngs):
    tfds_records._decoder.cache_clear()
    batches = iter(pngs[1].train(20, 100))
    made = tfds_records._decoder.cache_info().misses
    assert made >= 3, "of one image, and of both parts of a batch"
    next(batches)
    assert tfds_records._decoder.cache_info().misses == made


_SCRIPT = """
import sys, time
import numpy as np, tensorflow as tf
tf.config.threading.set_inter_op_parallelism_threads(1)
import tfssvae
from tfssvae.data.tfds_records import TfdsImages
read = TfdsImages._read
TfdsImages._read = lambda self, rows: (time.sleep(0.1), read(self, rows))[1]
data = tfssvae.data.load("tfds:pngs", data_dir=sys.argv[1], stream=True)
batches = iter(data.train(20, 0).repeat())
next(batches)
print("taken")
"""


def test_one_thread_of_tensorflow_suffices_and_the_end_does_not_wait(data_dir):
    """Both stood still: decoding that needs such a thread, and Python ending amid a batch."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(data_dir)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"},
    )
    assert (done.returncode, done.stdout) == (0, "taken\n"), done.stderr


def test_what_does_not_fit_is_streamed(data_dir, monkeypatch, caplog):
    def loaded(available, **arguments):
        memory = psutil.virtual_memory()._replace(available=available)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        return load("tfds:pngs", data_dir=data_dir, **arguments)

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


def test_what_cannot_be_streamed(data_dir, tmp_path):
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
    other = shutil.copytree(data_dir, tmp_path / "other")
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


@pytest.fixture
def copied(data_dir, tmp_path):
    """A copy of the data, and one of its files."""
    folder = shutil.copytree(data_dir, tmp_path / "copy")
    return folder, folder / "pngs" / "1.0.0" / "pngs-train.tfrecord-00013-of-00020"


def cut(file):
    file.write_bytes(file.read_bytes()[:-3])
    return "is damaged or cut off: its record 49"


def claim(file):
    file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])
    return "its record 0 claims 4,611,686,018,427,387,904 bytes"


def claim_a_little(file):
    file.write_bytes((9).to_bytes(8, "little") + file.read_bytes()[8:])
    return "is damaged"


def repeat(file):
    file.write_bytes(file.read_bytes() * 2)
    return "it should have 50 records and has more"


def shorten(file):
    content = file.read_bytes()
    file.write_bytes(content[16 + int.from_bytes(content[:8], "little") :])
    return "it should have 50 records and has 49"


def flip(file):
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    return "is damaged"


def lose(file):
    file.unlink()
    return "There is no file"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("damage", [cut, claim, claim_a_little, repeat, shorten, flip, lose])
def test_damage_is_named(copied, damage, stream):
    folder, file = copied
    message = damage(file)
    with pytest.raises(InputError) as refused:
        load("tfds:pngs", data_dir=folder, stream=stream)
    assert message in str(refused.value)
    assert file.name in str(refused.value)


def described(folder, **changes):
    """Change what the description of the data says of them, and of their first split."""
    path = folder / "pngs" / "1.0.0" / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0] |= changes.pop("split", {})
    path.write_text(json.dumps({**info, **changes}))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"shardLengths": ["many"]}}, "cannot be opened: .*many"),
        ({"split": {"filepathTemplate": "{OTHER}"}}, "is damaged: .*OTHER"),
        ({"split": {"shardLengths": []}}, "has no rows in its"),
        ({"fileFormat": "array_record"}, "array_record.*tfrecord"),
    ],
)
def test_descriptions_that_cannot_be_are_refused(copied, changes, message, stream):
    folder, _ = copied
    described(folder, **changes)
    with pytest.raises(InputError, match=message):
        load("tfds:pngs", data_dir=folder, stream=stream)


def written(file, image):
    """Replace the file by whole records of another image, which no checksum tells."""
    with tf.io.TFRecordWriter(str(file)) as writer:
        for _ in range(N // SHARDS):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


@pytest.mark.parametrize(
    "image",
    [b"no image", tf.io.encode_png(np.zeros((5, 4, 1), np.uint8)).numpy()],
    ids=["no image", "another shape"],
)
def test_images_that_cannot_be_are_named(copied, image):
    folder, file = copied
    written(file, image)
    data = load("tfds:pngs", data_dir=folder, stream=True)
    with pytest.raises(InputError, match=rf"{file.name} is damaged: the record at byte \d+ holds"):
        data.fingerprint  # noqa: B018
    assert data.x_train[data.x_train._file_of != 13].shape == (N - N // SHARDS, 4, 5, 1)


def halve(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return "has been cut off"


def blank(file):
    file.write_bytes(b"\xff" * file.stat().st_size)
    return "is damaged: the record at byte"


def remove(file):
    file.unlink()
    return "cannot be read: No such file"


@pytest.mark.parametrize("damage", [remove, halve, blank])
def test_damage_after_loading_is_named(copied, damage):
    folder, file = copied
    data = load("tfds:pngs", data_dir=folder, stream=True)
    batches = data.train(20, 0)
    message = damage(file)
    for read in (lambda: data.x_train[:], lambda: list(batches)):
        with pytest.raises((InputError, tf.errors.OpError)) as refused:
            read()
        assert f"{file.name} {message}" in str(refused.value)


def test_the_command_line_streams(data_dir, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(runs, "start_run", lambda folder, config, say: started.append(config))
    given = ["train", "m2", "--data", "tfds:pngs", "--data-dir", str(data_dir)]
    for choice, kind in (("--stream", TfdsImages), ("--no-stream", np.ndarray)):
        assert main([*given, choice]) == 0
        assert isinstance(load(**started[-1]["data"]).x_train, kind)
    assert "--stream" in command_of(started[0], "run").split()
    monkeypatch.undo()
    assert main(["train", "m2", "--data", "digits", "--stream", "--out", "third"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
