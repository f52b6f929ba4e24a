"""Settings that TensorFlow reads once, before anything else touches it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import pytest
import tensorflow as tf

# Two logical CPUs, for the tests of distribution; everything else runs on the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def pytest_itemcollected(item):
    """Keep tests that share a trained model in one worker: those of a file and a method."""
    parameters = getattr(item, "callspec", None)
    method = parameters.params.get("name", "") if parameters else ""
    item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{method}"))


@pytest.fixture(scope="session")
def strategy():
    """Two replicas, on the logical CPUs above."""
    from tfssvae.replicas import strategy_of  # not earlier: the library touches TensorFlow

    return strategy_of(2)
