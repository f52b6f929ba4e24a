"""A small model, what its signatures give without a server, and addresses of servers."""

import socket

import numpy as np
import tensorflow as tf

import tfssvae

NAME = "digits m2?"  # names are escaped in addresses


def small_model(shape=(8, 8, 1), seed=0):
    return tfssvae.models.M2(shape, 10, latent_dim=4, hidden=(16,), seed=seed)


def direct(backend, signature, **arrays):
    outputs = backend.signatures[signature](**{k: tf.constant(v) for k, v in arrays.items()})
    return {key: value.numpy() for key, value in outputs.items()}


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)
        found[key][:1] = 0  # not a read-only view of a message


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def address(transport, port):
    return f"http://127.0.0.1:{port}" if transport == "rest" else f"127.0.0.1:{port}"
