"""How images of tfds are streamed: little memory, several threads, and no graph in them."""

import os
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.data.tfds_files import N, store
from tfssvae.data import load, tfds_records

pytestmark = pytest.mark.xdist_group("streamed tfds")


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
    rng = np.random.default_rng(1)
    batches = [rng.permutation(N)[: 10 + 30 * size] for size in range(20)]
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


def test_one_thread_of_tensorflow_suffices_and_the_end_does_not_wait(tfds_dir):
    """Both stood still: decoding that needs such a thread, and Python ending amid a batch."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tfds_dir)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"},
    )
    assert (done.returncode, done.stdout) == (0, "taken\n"), done.stderr
