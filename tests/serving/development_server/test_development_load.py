"""The development server under many requests: right, prompt, and in constant memory."""

import gc
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf

from tests.serving.development_server.asking import (
    BATCHING,
    IMAGE,
    PREDICT,
    ROW,
    SETTINGS,
    as_json,
    assert_same,
    grpc_predict,
    inputs_of,
    outputs_of,
    predict,
)
from tfssvae.serving.development.loaded_model import LoadedModel
from tfssvae.serving.development.server import Settings, running

pytestmark = pytest.mark.xdist_group("development server")


def counted_runs(monkeypatch):
    """Count the calls of TensorFlow, and the rows of each."""
    calls = []
    run = LoadedModel.run

    def counting(self, signature, inputs):
        calls.append({name: value.shape for name, value in inputs.items()})
        return run(self, signature, inputs)

    monkeypatch.setattr(LoadedModel, "run", counting)
    return calls


def test_200_concurrent_requests_are_all_right(server, merging, direct, monkeypatch):
    """Requests of both protocols, of many sizes and signatures, some wrong."""
    calls = counted_runs(monkeypatch)
    rng = np.random.default_rng(1)
    kinds = ["classify", "encode_float", "generate", "classify_float"]
    batches = [rng.integers(0, 256, (1 + i % 5, 8, 8, 1), "uint8") for i in range(200)]
    inputs = [inputs_of(kinds[i % 4], batches[i]) for i in range(200)]
    wrong = range(3, 200, 20)
    for index in wrong:
        inputs[index]["images"][-1, 0, 0] = 2.0
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
        ThreadPoolExecutor(200) as pool,
    ):

        def ask(index):
            signature = kinds[index % 4]
            if index % 3:
                text = as_json(inputs[index])
                return predict(server, signature_name=signature, inputs=text)
            try:
                found = grpc_predict(channel, inputs[index], signature).outputs
            except grpc.RpcError as error:
                status = 400 if error.code() is grpc.StatusCode.INVALID_ARGUMENT else error.code()
                return status, {"error": error.details()}
            found = {name: tf.make_ndarray(value) for name, value in found.items()}
            return 200, {"outputs": found if len(found) > 1 else next(iter(found.values()))}

        answers = list(pool.map(ask, range(200)))
    for index, (status, answer) in enumerate(answers):
        if index in wrong:
            assert status == 400
            assert "images must be floats in 0..1" in answer["error"]
        else:
            assert status == 200, answer
            assert_same(answer["outputs"], outputs_of(direct, kinds[index % 4], inputs[index]))
    if server is merging:
        assert len(calls) < 170
        seeds = [call for call in calls if "seed" in call]
        assert [call["labels"] for call in seeds] == [(3,)] * 50
        assert max(call["images"][0] for call in calls if "images" in call) in range(8, 17)
    else:
        assert len(calls) == 200


def test_small_answers_are_not_held_back(plain):
    """Packets that wait for an acknowledgement take 40 ms each."""
    body, seconds = json.dumps({"instances": [ROW]}), []
    with closing(http.client.HTTPConnection("127.0.0.1", plain.rest, timeout=20)) as connection:
        for _ in range(30):
            start = time.perf_counter()
            connection.request("POST", PREDICT, body)
            connection.getresponse().read()
            seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("batching", [False, True])
def test_memory_does_not_grow(folders, batching):
    settings = {**SETTINGS, **BATCHING, "batching": batching, "batch_timeout_ms": 1}
    body = json.dumps({"instances": [ROW] * 8})
    wrong = json.dumps({"instances": [ROW] * 8 + [[]]})

    def ask(ports, count):
        with (
            closing(http.client.HTTPConnection("127.0.0.1", ports.rest, timeout=20)) as connection,
            grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
        ):
            for index in range(count):
                connection.request("POST", PREDICT, wrong if index % 10 == 0 else body)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == (400 if index % 10 == 0 else 200)
                if index % 5 == 0:
                    grpc_predict(channel, {"images": IMAGE[None]})

    def memory():
        gc.collect()
        return psutil.Process().memory_info().rss / 2**20

    with running(folders, Settings(**settings, poll_seconds=0.05)) as ports:
        ask(ports, 2_000)
        before = memory()
        ask(ports, 10_000)
        growth = memory() - before
    print(f"{growth:.1f} MiB more after 10,000 requests")
    assert growth < 20
