"""Parts of the development server by themselves: numbers in JSON, merging, the command."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import tensorflow as tf
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tfssvae import cli
from tfssvae.library_errors import install_hint
from tfssvae.serving import development
from tfssvae.serving.development import server
from tfssvae.serving.development.batching import Batcher
from tfssvae.serving.development.failure import Failure, from_tensorflow
from tfssvae.serving.development.json_tensors import tensor_from_json, write_outputs
from tfssvae.serving.development.loaded_model import LoadedModel
from tfssvae.serving.development.model_store import ModelStore
from tfssvae.serving.development.rest_app import make_app


class Scale(tf.Module):
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([], tf.int32, "by")]
    )
    def by_seed(self, x, by):
        return {"y": x * tf.cast(by, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def doubled(self, x):
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, "x is negative")]):
            return {"y": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def total(self, x):
        return {"y": tf.reduce_sum(x)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("models") / "scale"
    toy = Scale()
    names = ["by_seed", "doubled", "total"]
    signatures = {name: getattr(toy, name) for name in names}
    tf.saved_model.save(
        toy, str(root / "1"), signatures={**signatures, "serving_default": toy.doubled}
    )
    return root


@pytest.fixture
def model(folder):
    return LoadedModel("scale", 1, folder / "1")


def test_floats_come_back_bit_for_bit():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20_000, "uint32")
    values = np.concatenate([bits.view("float32"), rng.random(20_000, "float32")])
    found = json.loads(write_outputs("row", {"x": values}))["predictions"]
    np.testing.assert_array_equal(np.array(found, "float32"), values)
    doubles = rng.integers(0, 2**63, 1000).view("float64")
    found = json.loads(write_outputs("columnar", {"x": doubles}))["outputs"]
    np.testing.assert_array_equal(found, doubles)
    found = json.loads(write_outputs("row", {"x": values}))["predictions"]
    back = tensor_from_json(found, tf.float32)
    np.testing.assert_array_equal(back, values)
    assert back.dtype == np.float32


def test_floats_are_written_short():
    values = np.array([0.2, 1 / 3, 9e6, 1e-5, 16777216, 0], "float32")
    text = write_outputs("columnar", {"x": values})
    assert text == b'{"outputs": [0.2, 0.33333334, 9000000.0, 1e-05, 16777216.0, 0.0]}'


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
def test_integers_of_the_whole_range(dtype):
    limits = np.iinfo(dtype)
    values = [[int(limits.min)], [int(limits.max)]]
    found = tensor_from_json(values, tf.as_dtype(dtype))
    assert found.dtype == dtype
    assert found.tolist() == values
    for outside in (limits.min - 1, limits.max + 1):
        with pytest.raises(Failure, match="does not fit into type"):
            tensor_from_json(int(outside), tf.as_dtype(dtype))


def test_lists_nested_too_deep_are_refused():
    value = 1
    for _ in range(40):
        value = [value]
    with pytest.raises(Failure, match="nested deeper than 32"):
        tensor_from_json(value, tf.int32)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (tf.errors.InvalidArgumentError, "INVALID_ARGUMENT", 400),
        (tf.errors.ResourceExhaustedError, "RESOURCE_EXHAUSTED", 429),
        (tf.errors.UnimplementedError, "UNIMPLEMENTED", 501),
        (tf.errors.DataLossError, "INTERNAL", 500),
    ],
)
def test_errors_of_a_model_keep_their_kind(error, code, status):
    failure = from_tensorflow(error(None, None, "the reason"))
    assert (failure.code, failure.http_status, failure.message) == (code, status, "the reason")


@pytest.fixture
def merged(model, monkeypatch):
    """A batcher that waits half a second, and the shapes of what it ran."""
    shapes = []
    run = model.run

    def spy(signature, inputs):
        shapes.append(inputs["x"].shape)
        return run(signature, inputs)

    monkeypatch.setattr(model, "run", spy)
    with ThreadPoolExecutor(2) as pool:
        batcher = Batcher(pool, max_rows=6, timeout=0.5)
        yield batcher, shapes
        batcher.close()


def rows(*values):
    return {"x": np.array(values, "float32")}


def test_requests_are_merged_in_order_and_split(merged, model):
    batcher, shapes = merged
    sizes = [1, 2, 3]
    inputs = [rows(*np.arange(size * 2).reshape(size, 2) + 10 * size) for size in sizes]
    futures = [batcher.submit(model, "doubled", item) for item in inputs]
    for item, future in zip(inputs, futures, strict=True):
        np.testing.assert_array_equal(future.result(5)["y"], 2 * item["x"])
    assert shapes == [(6, 2)]


def test_a_batch_that_would_be_too_large_starts_without_the_next(merged, model):
    batcher, shapes = merged
    futures = [batcher.submit(model, "doubled", rows(*[[1.0]] * size)) for size in (4, 4, 7)]
    assert [len(future.result(5)["y"]) for future in futures] == [4, 4, 7]
    assert sorted(shapes) == [(4, 1), (4, 1), (7, 1)]


def test_one_bad_request_does_not_fail_its_neighbours(merged, model):
    batcher, shapes = merged
    values = [1.0, 2.0, -3.0, 4.0, 5.0]
    futures = [batcher.submit(model, "doubled", rows([value])) for value in values]
    for value, future in zip(values, futures, strict=True):
        if value < 0:
            with pytest.raises(Failure, match="x is negative"):
                future.result(5)
        else:
            assert future.result(5)["y"].tolist() == [[2 * value]]
    assert shapes[0] == (5, 1)


def test_other_shapes_signatures_and_scalars_are_not_merged(merged, model):
    batcher, shapes = merged
    inputs = [rows([1.0]), rows([1.0, 1.0])]
    futures = [batcher.submit(model, "doubled", item) for item in inputs]
    seeded = [
        batcher.submit(model, "by_seed", {**rows(1.0), "by": np.int32(seed)}) for seed in (1, 2)
    ]
    assert [future.result(5)["y"].tolist() for future in seeded] == [[1.0], [2.0]]
    assert shapes == [(1,), (1,)]
    assert [future.result(5)["y"].shape for future in futures] == [(1, 1), (1, 2)]


def test_an_output_without_rows_is_not_split(merged, model):
    batcher, _ = merged
    futures = [batcher.submit(model, "total", rows(1.0, value)) for value in (2.0, 3.0)]
    assert [float(future.result(5)["y"]) for future in futures] == [3.0, 4.0]


def test_a_cancelled_request_harms_no_other(merged, model):
    batcher, _ = merged
    futures = [batcher.submit(model, "doubled", rows([value])) for value in (1.0, 2.0, 3.0)]
    assert futures[1].cancel()
    assert futures[0].result(5)["y"].tolist() == [[2.0]]
    assert futures[2].result(5)["y"].tolist() == [[6.0]]


def test_what_waits_is_answered_on_closing(model):
    with ThreadPoolExecutor(1) as pool:
        batcher = Batcher(pool, max_rows=6, timeout=1e6)
        future = batcher.submit(model, "doubled", rows([1.0]))
        batcher.close()
        assert future.result(5)["y"].tolist() == [[2.0]]


def test_a_version_that_is_replaced_or_gone_is_not_served(folder, tmp_path):
    place = tmp_path / "scale"
    shutil.copytree(folder, place)
    with closing(ModelStore({"scale": place}, poll_seconds=0.05)) as store:
        before = store.find("scale")
        other = tf.Module()
        other.call = tf.function(lambda x: {"z": x}, input_signature=[tf.TensorSpec([None])])
        tf.saved_model.save(other, str(tmp_path / "new"), {"serving_default": other.call})
        (place / "1").rename(tmp_path / "old")
        (tmp_path / "new").rename(place / "1")
        wait(lambda: store.find("scale") is not before)
        assert "doubled" not in store.find("scale").signatures
        shutil.rmtree(place)
        with pytest.raises(Failure, match="Servable not found"):
            wait(lambda: store.find("scale") is None)


def wait(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_app_takes_further_routes(folder):
    store = ModelStore({"scale": folder})
    try:
        page = Route("/", lambda request: PlainTextResponse("hello"))
        paths = [route.path for route in make_app(store, routes=[page]).routes]
        assert paths == ["/v1/{rest:path}", "/health", "/"]
    finally:
        store.close()


def test_the_command_serves_until_it_is_interrupted(folder):
    """In a process of its own, as users start it."""
    command = [sys.executable, "-m", "tfssvae", "serve", f"toy={folder}", "--batching"]
    with subprocess.Popen(
        [*command, "--rest-port", "0", "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            assert lines[0] == "toy: version 1 is served\n"
            address = re.fullmatch(r"toy: (http://127\.0\.0\.1:\d+/v1/models/toy)\n", lines[1])[1]
            assert re.fullmatch(r"a page to try them on: http://127\.0\.0\.1:\d+/\n", lines[2])
            assert "Ctrl-C stops" in lines[3]
            body = b'{"instances": [[1.5]]}'
            with urllib.request.urlopen(f"{address}:predict", body, timeout=20) as answer:
                assert json.load(answer) == {"predictions": [[3.0]]}
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def refusal(capsys, *arguments):
    assert cli.main(["serve", *map(str, arguments)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


FREE = ("--rest-port", "0", "--grpc-port", "0")


def test_bad_folders_are_refused(folder, tmp_path, capsys):
    assert "there is no folder" in refusal(capsys, tmp_path / "no", *FREE)
    assert "has no numbered versions such as" in refusal(capsys, tmp_path, *FREE)
    one = refusal(capsys, folder / "1", *FREE)
    assert f"is one version of a model: give the folder that holds the versions, {folder}" in one
    (tmp_path / "2").mkdir()
    assert "is not a SavedModel that can be loaded" in refusal(capsys, tmp_path, *FREE)
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"\x08\x01")
    assert 'has no graph with the tag "serve"' in refusal(capsys, tmp_path, *FREE)
    shutil.copytree(folder / "1", tmp_path / "3", ignore=shutil.ignore_patterns("variables*"))
    assert "is not a SavedModel that can be loaded" in refusal(capsys, tmp_path, *FREE)


def test_bad_names_are_refused(folder, capsys):
    assert 'two models are called "scale"' in refusal(capsys, folder, folder, *FREE)
    assert "--name is for one DIR" in refusal(capsys, folder, folder, "--name", "a", *FREE)
    assert "no / and no : in it, got 'a:b'" in refusal(capsys, folder, "--name", "a:b", *FREE)


@pytest.mark.parametrize("option", ["--rest-port", "--grpc-port"])
def test_a_port_that_is_taken_is_refused(folder, capsys, option):
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        arguments = [*FREE, option, port]
        printed = refusal(capsys, folder, *arguments)
    assert f"cannot listen at port {port} of 127.0.0.1" in printed
    assert f"give another {option}, or 0 for any" in printed


def test_bad_numbers_and_hosts_are_refused(folder, capsys):
    same = ["--rest-port", "8500", "--grpc-port", "8500"]
    assert "are both 8500" in refusal(capsys, folder, *same)
    assert "at least 1, got 0" in refusal(capsys, folder, "--max-batch-size", "0", *FREE)
    assert "192.0.2.1" in cli_errors(capsys, folder, "--host", "192.0.2.1", *FREE)
    for arguments in (["--rest-port", "70000"], ["--batch-timeout-ms", "-1"]):
        with pytest.raises(SystemExit) as exit:
            cli.main(["serve", str(folder), *arguments])
        assert exit.value.code == 2


def cli_errors(capsys, *arguments):
    assert cli.main(["serve", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_a_host_that_others_reach_is_warned_of(folder, capsys, monkeypatch):
    served = []
    monkeypatch.setattr(server, "serve", lambda *arguments: served.append(arguments))
    assert cli.main(["serve", str(folder), "--host", "0.0.0.0"]) == 0
    assert "0.0.0.0 can be reached from other machines" in capsys.readouterr().err
    assert cli.main(["serve", str(folder), "--max-batch-size", "7", "--batching"]) == 0
    assert capsys.readouterr().err == ""
    assert [list(models) for models, _ in served] == [["scale"], ["scale"]]
    assert served[0][1] == server.Settings(host="0.0.0.0")
    assert served[1][1] == server.Settings(batching=True, max_batch_size=7)


def test_without_the_extra_it_says_what_to_install(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, server.__name__)
    monkeypatch.delattr(development, "server")
    printed = refusal(capsys, folder)
    assert f"uvicorn, which is not installed: {install_hint('serving')}" in printed
