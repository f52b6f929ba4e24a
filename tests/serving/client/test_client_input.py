"""What the client refuses before it asks a server, and the packages that it needs."""

import subprocess
import sys

import numpy as np
import pytest

from tests.serving.client.model_and_addresses import NAME
from tfssvae.checks import InputError
from tfssvae.library_errors import install_hint
from tfssvae.serving import Client

pytestmark = pytest.mark.xdist_group("client")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, x: c.classify(x[:, :7]), r"shape \(n, 8, 8, 1\), got \(12, 7, 8, 1\)"),
        (lambda c, x: c.classify(x.astype("float32")), r"must be in 0\.\.1: divide by 255"),
        (lambda c, x: c.classify(np.where(x > 250, np.nan, x / 255)), "NaN or infinite"),
        (lambda c, x: c.classify(x[:0]), "images is empty"),
        (lambda c, x: c.encode("images.png"), "images"),
        (lambda c, x: c.generate([0, 10]), "labels has labels 10"),
        (lambda c, x: c.generate([0.5]), "whole numbers"),
        (lambda c, x: c.generate([1], seed=0.5), "seed must be a whole number"),
        (lambda c, x: c.call("clasify", images=x), 'did you mean "classify"'),
        (lambda c, x: c.call("classify", image=x), "takes images, got image"),
        (lambda c, x: c.call("classify"), "takes images, got nothing"),
        (lambda c, x: c.call("classify", images=x / 255), "must be uint8, got float64"),
        (lambda c, x: c.call("classify", images=x + 1000), "0 to 255: got 1"),
        (lambda c, x: c.call("classify_float", images=x), "must be float32, got uint8"),
        (lambda c, x: c.call("classify", images=[[1], [1, 2]]), "images must be an array of"),
        (lambda c, x: c.call("classify_float", images=x * np.inf), "NaN or infinite"),
        (lambda c, x: c.call("classify_float", images=x * 1e300), "NaN or infinite"),
        (lambda c, x: c.call("classify", images=x[:0]), "images must have at least one row"),
        (lambda c, x: c.call("generate", labels=[1], seed=[1]), r"seed must have shape \(\)"),
        (lambda c, x: c.classify(x, timeout=0), "timeout must be"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply:RuntimeWarning")
def test_bad_input_is_refused_before_it_is_sent(client, backend, images, call, message):
    with pytest.raises(InputError, match=message):
        call(client, images.astype("int64") if "got 1" in message else images)
    assert backend.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ftp://host", NAME), "address must be"),
        (("", NAME), "address must be"),
        (("http://", NAME), "address must be"),
        (("host:8500", ""), "model must be the name"),
    ],
)
def test_bad_addresses(arguments, message):
    with pytest.raises(InputError, match=message):
        Client(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 1, "label": "stable"}, "a version or a label, not both"),
        ({"version": "1"}, "version must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"retries": -1}, "retries must be"),
        ({"batch_size": 0}, "batch_size must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        Client("host:8500", NAME, **options)


@pytest.mark.parametrize("transport_needs", ["urllib3", "grpc"])
def test_a_transport_needs_its_own_packages_only(transport_needs):
    """TensorFlow cannot be imported, neither can the packages of the other transport."""
    without = {"urllib3": ["grpc", "google.protobuf"], "grpc": ["urllib3"]}[transport_needs]
    mine, other = ("http://localhost:1", "localhost:1")[
        :: 1 if transport_needs == "urllib3" else -1
    ]
    code = f"""
import sys
for name in ["tensorflow", "tensorflow_serving", *{without}]:
    sys.modules[name] = None
import tfssvae
client = tfssvae.serving.Client({mine!r}, "m2", retries=0)
try:
    client.metadata()
except tfssvae.serving.ServingError as error:
    print(error.code)
try:
    tfssvae.serving.Client({other!r}, "m2")
except ImportError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    unavailable, missing = result.stdout.splitlines()
    assert unavailable == "UNAVAILABLE"
    assert missing.endswith(install_hint("serving"))
