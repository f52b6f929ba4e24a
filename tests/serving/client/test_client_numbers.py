"""The client gives the numbers of the signatures, over either transport."""

import threading

import numpy as np
import pytest

from tests.serving.client.model_and_addresses import NAME, assert_same, direct, small_model
from tests.serving.fake_serving import SERVERS, Backend
from tfssvae.checks import InputError
from tfssvae.serving import Client, export

pytestmark = pytest.mark.xdist_group("client")


def test_methods_give_the_numbers_of_the_signatures(client, backend, images):
    for x, suffix in ((images, ""), ((images / 255).astype("float32"), "_float")):
        assert_same(client.classify(x), direct(backend, f"classify{suffix}", images=x))
        encoded = direct(backend, f"encode{suffix}", images=x)
        assert_same({"codes": client.encode(x)}, encoded)
        reconstructed = direct(backend, f"reconstruct{suffix}", images=x)
        assert_same({"reconstructions": client.reconstruct(x)}, reconstructed)
    labels, seed = np.array([3, 3, 9], "int32"), np.int32(-7)
    drawn = direct(backend, "generate", labels=labels, seed=seed)
    assert_same({"generated_images": client.generate([3, 3, 9], -7)}, drawn)
    assert not np.allclose(client.generate([3, 3, 9]), client.generate([3, 3, 9], 1))


def test_call_reaches_any_signature(client, backend, images):
    assert_same(
        client.call("serving_default", images=images.astype("int64")),
        direct(backend, "classify", images=images),
    )
    labels = np.array([1, 2], "int32")
    assert_same(
        client.call("generate", labels=[1, 2], seed=5),
        direct(backend, "generate", labels=labels, seed=np.int32(5)),
    )


def test_images_without_channel_and_of_other_types(client, backend, images):
    wanted = direct(backend, "classify", images=images)
    assert_same(client.classify(images[..., 0]), wanted)
    assert_same(client.classify(images.astype("int32")), wanted)
    wanted = direct(backend, "classify_float", images=(images / 255).astype("float32"))
    assert_same(client.classify(images / 255), wanted)


def test_large_batches_are_cut_and_put_together(server, backend, images):
    with Client(server.address, NAME, batch_size=5) as client:
        found = client.classify(images)
    assert [len(inputs["images"]) for _, _, inputs in backend.requests] == [5, 5, 2]
    wanted = direct(backend, "classify", images=images)
    np.testing.assert_array_equal(found["classes"], wanted["classes"])
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], rtol=1e-5)


def test_generation_is_never_cut(server, backend):
    labels = np.arange(10, dtype="int32")
    with Client(server.address, NAME, batch_size=3) as client:
        found = client.generate(labels, 4)
    assert len(backend.requests) == 1
    wanted = direct(backend, "generate", labels=labels, seed=np.int32(4))
    assert_same({"generated_images": found}, wanted)


def test_grpc_answers_beyond_four_mebibytes(tmp_path):
    backend = Backend(export(small_model((64, 64, 1)), tmp_path))
    server = SERVERS["grpc"](backend)
    images = np.zeros((300, 64, 64, 1), "uint8")
    try:
        with Client(server.address, NAME, batch_size=300) as client:
            found = client.reconstruct(images)
    finally:
        server.close()
    assert found.nbytes > 4 << 20
    assert_same({"reconstructions": found}, direct(backend, "reconstruct", images=images))


@pytest.mark.parametrize(
    ("dtypes", "signatures"),
    [
        (("float32", "uint8"), {"uint8": "encode_uint8", "float32": "encode"}),
        (("uint8",), {"uint8": "encode"}),
        (("float32",), {"float32": "encode"}),
    ],
)
def test_images_go_to_the_signature_of_their_type(tmp_path, images, transport, dtypes, signatures):
    backend = Backend(export(small_model(), tmp_path, input_dtypes=dtypes))
    server = SERVERS[transport](backend)
    try:
        with Client(server.address, NAME) as client:
            for dtype in ("uint8", "float32"):
                x = images if dtype == "uint8" else (images / 255).astype("float32")
                if dtype not in signatures:
                    with pytest.raises(InputError, match=f"takes {dtypes[0]} images only, got"):
                        client.encode(x)
                    continue
                assert_same(
                    {"codes": client.encode(x)}, direct(backend, signatures[dtype], images=x)
                )
                assert backend.requests[-1][1] == signatures[dtype]
    finally:
        server.close()


def test_threads_share_a_client(client, backend, images):
    wanted = direct(backend, "classify", images=images)["classes"]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(client.classify(images)["classes"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, [wanted] * 8)
