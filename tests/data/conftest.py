"""What the tests of streamed tensorflow-datasets share: files that tfds wrote, and their data."""

import numpy as np
import pytest

from tests.data.tfds_files import IMAGES, LABELS, SHARDS, features, rows, store
from tfssvae.data import load


@pytest.fixture(scope="session")
def tfds_dir(tmp_path_factory):
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
    steps = np.random.default_rng(1).normal(0, 20, (60, 16, 8, 3))
    smooth = np.clip(np.cumsum(steps, axis=1) + 128, 0, 255)
    store(
        folder,
        "jpegs",
        features({"shape": (16, 8, 3), "encoding_format": "jpeg"}),
        shards=3,
        train=rows(smooth.astype(np.uint8), LABELS[: len(smooth)]),
    )
    return folder


@pytest.fixture(scope="session")
def pngs(tfds_dir):
    """The same data in memory and streamed."""
    return [
        load("tfds:pngs", labels_per_class=20, data_dir=tfds_dir, stream=stream)
        for stream in (False, True)
    ]
