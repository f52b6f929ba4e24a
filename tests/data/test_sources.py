"""Data by name: the embedded digits, Keras's names, files in a folder, and wrong names."""

import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from tfssvae.checks import InputError
from tfssvae.data import network
from tfssvae.data.sources import KNOWN_NAMES, load_source

REAL_DATA = os.environ.get("TFSSVAE_DATA", "")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No data of this computer, no network."""
    monkeypatch.delenv("TFSSVAE_DATA", raising=False)
    for proxy in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    connections = []

    def refuse(address, *_, **__):
        connections.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)
    return connections


def write_toy(path, n=4):
    np.savez(path, x_train=np.full((n, 2, 2), 90, np.uint8), y_train=np.arange(n) % 2)


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    original = load_digits()
    source = load_source("digits")
    assert source.x_train.shape == (1438, 8, 8, 1)
    assert source.x_test.shape == (359, 8, 8, 1)
    assert source.class_names == tuple("0123456789")
    # 0..16 becomes 0..255: 4 * 255 / 16 = 63.75, 8 * 255 / 16 = 127.5.
    levels = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    scaled = np.array(levels, np.uint8)[original.images.astype(int)]
    expected = {(x.tobytes(), y) for x, y in zip(scaled, original.target, strict=True)}
    rows = [
        (x.tobytes(), y)
        for xs, ys in [(source.x_train, source.y_train), (source.x_test, source.y_test)]
        for x, y in zip(xs, ys, strict=True)
    ]
    assert len(rows) == len(original.images)
    assert set(rows) == expected


def test_digits_test_rows_are_stratified_and_the_same_each_time():
    source, again = load_source("digits"), load_source("digits")
    np.testing.assert_array_equal(source.x_test, again.x_test)
    train, test = np.bincount(source.y_train), np.bincount(source.y_test)
    assert np.abs(test - 0.2 * (train + test)).max() < 1
    assert source.y_test[:12].tolist() == [2, 5, 6, 3, 4, 7, 9, 3, 9, 0, 9, 7]


def test_files_of_data_dir_come_first_then_those_of_the_environment(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, n in [(first, 4), (second, 6)]:
        folder.mkdir()
        write_toy(folder / "mnist.npz", n)
    write_toy(second / "blobs.npz", 8)
    monkeypatch.setenv("TFSSVAE_DATA", str(second))
    assert len(load_source("mnist").x_train) == 6
    source = load_source("mnist", data_dir=first)
    assert len(source.x_train) == 4
    assert source.class_names == tuple("0123456789")
    blobs = load_source("blobs", data_dir=first)
    assert (len(blobs.x_train), blobs.name, blobs.class_names) == (8, "blobs", ("0", "1"))


def test_class_names_of_fashion_mnist_and_cifar10(tmp_path):
    write_toy(tmp_path / "fashion_mnist.npz")
    write_toy(tmp_path / "cifar10.npz")
    fashion = load_source("fashion_mnist", tmp_path).class_names
    assert (fashion[0], fashion[5], fashion[9]) == ("T-shirt/top", "Sandal", "Ankle boot")
    cifar = load_source("cifar10", tmp_path).class_names
    assert (cifar[0], cifar[6], cifar[9]) == ("airplane", "frog", "truck")


def test_file_of_another_layout_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "cifar10.npz", x_train_xz=np.zeros(3), y_train=np.zeros(3))
    with pytest.raises(InputError, match=r"cifar10\.npz lacks x_train.*found x_train_xz, y_train"):
        load_source("cifar10", tmp_path)


def test_paths(tmp_path, monkeypatch):
    write_toy(tmp_path / "mine.npz")
    assert load_source(tmp_path / "mine.npz").name == "mine"
    monkeypatch.chdir(tmp_path)
    assert load_source("mine.npz").name == "mine"
    with pytest.raises(InputError, match=r"There is no file nothing\.npz"):
        load_source("nothing.npz")
    with pytest.raises(InputError, match=r"There is no file or folder .*/nothing/here"):
        load_source(tmp_path / "nothing/here")
    Path("table.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"table\.csv is neither an npz file nor a folder"):
        load_source("table.csv")
    Path("pictures").mkdir()
    with pytest.raises(InputError, match="pictures has no folder train/"):
        load_source("pictures")


def test_unknown_name_shows_the_nearest_and_the_stored(tmp_path):
    write_toy(tmp_path / "omniglot.npz")
    with pytest.raises(InputError, match=r'"mnits": did you mean "mnist"\?') as caught:
        load_source("mnits", tmp_path)
    for name in (*KNOWN_NAMES, "omniglot", "tfds:NAME"):
        assert name in str(caught.value)
    with pytest.raises(InputError, match=r'did you mean "omniglot"\?'):
        load_source("Omniglott", tmp_path)
    with pytest.raises(InputError, match='Unknown data set ""'):
        load_source("", tmp_path)


def test_data_dir_must_exist(tmp_path):
    with pytest.raises(InputError, match=r"data_dir=.*none is not a folder"):
        load_source("mnist", tmp_path / "none")


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_label_key_where_there_is_one_kind_of_labels(name):
    with pytest.raises(InputError, match="label_key is for tfds: data and npz files"):
        load_source(name, label_key="y")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("mnist", "storage.googleapis.com"),
        ("fashion_mnist", "storage.googleapis.com"),
        ("cifar10", "www.cs.toronto.edu"),
        ("cifar100", "www.cs.toronto.edu"),
    ],
)
def test_missing_data_without_a_network(name, host, tmp_path, environment):
    with pytest.raises(InputError, match=f"{host} cannot be reached") as caught:
        load_source(name, tmp_path)
    assert environment == [(host, 443)]
    assert str(tmp_path / f"{name}.npz") in str(caught.value)
    assert "TFSSVAE_DATA" in str(caught.value)


def test_network_that_never_answers_costs_seconds(monkeypatch, tmp_path):

    def never_answers(*_, **__):
        time.sleep(30)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", never_answers)
    started = time.monotonic()
    with pytest.raises(InputError, match="cannot be reached"):
        load_source("mnist", tmp_path)
    assert 2 < time.monotonic() - started < 5


def test_proxy_is_what_must_be_reachable(monkeypatch, environment):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert not network.is_reachable("storage.googleapis.com")
    assert environment == [("proxy.example", 3128)]


def test_open_port_is_reachable(monkeypatch):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.undo()
        monkeypatch.setattr(network, "_proxy_for", lambda host: server.getsockname())
        assert network.is_reachable("anything.example")


def test_keras_downloads_when_it_can(monkeypatch):
    from keras.datasets import cifar10

    x = np.arange(200, 224, dtype=np.uint8).reshape(2, 2, 2, 3)
    y = np.array([[3], [8]], np.uint8)
    monkeypatch.setattr(cifar10, "load_data", lambda: ((x, y), (x[::-1], y[::-1])))
    monkeypatch.setattr(network, "is_reachable", lambda host: True)
    source = load_source("cifar10")
    np.testing.assert_array_equal(source.x_train, x)
    assert source.y_train.tolist() == [3, 8]
    assert source.y_test.tolist() == [8, 3]
    assert source.class_names[8] == "ship"

    def fail():
        raise OSError("disk full")

    monkeypatch.setattr(cifar10, "load_data", fail)
    with pytest.raises(InputError, match=r'"cifar10" could not be downloaded .*: disk full'):
        load_source("cifar10")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "mnist.npz"),
        ("fashion_mnist", "fashion-mnist/t10k-labels-idx1-ubyte.gz"),
        ("cifar10", "cifar-10-batches-py-target_archive"),
        ("cifar100", "cifar-100-python-target_archive"),
    ],
)
def test_cache_of_keras_needs_no_network(name, file, tmp_path, monkeypatch, environment):
    import importlib

    module = importlib.import_module(f"keras.datasets.{name}")
    x, y = np.zeros((2, 2, 2), np.uint8), np.array([0, 1])
    monkeypatch.setattr(module, "load_data", lambda: ((x, y), (x, y)))
    cached = tmp_path / "keras" / "datasets" / file
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert len(load_source(name).class_names) == (100 if name == "cifar100" else 10)
    assert environment == []


@pytest.mark.skipif(
    not os.path.isfile(os.path.join(REAL_DATA, "mnist.npz")), reason="needs $TFSSVAE_DATA/mnist.npz"
)
def test_real_mnist():
    source = load_source("mnist", REAL_DATA)
    assert source.x_train.shape == (60000, 28, 28, 1)
    assert source.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert source.y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(source.y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert source.x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
