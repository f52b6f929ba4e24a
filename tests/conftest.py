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

# Pytest loads these files by their paths. Doctests would import each by the name that all share.
collect_ignore_glob = ["*conftest.py"]


def pytest_itemcollected(item):
    """Keep tests that share a trained model in one worker: those of a file and a method.

    Files that share what a `conftest.py` makes once name a group of their own.
    """
    if item.get_closest_marker("xdist_group"):
        return
    parameters = getattr(item, "callspec", None)
    method = parameters.params.get("name", "") if parameters else ""
    item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{method}"))


@pytest.fixture(scope="session")
def strategy():
    """Two replicas, on the logical CPUs above."""
    from tfssvae.replicas import strategy_of  # not earlier: the library touches TensorFlow

    return strategy_of(2)
