"""The compiled loop's own choices."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from tfssvae.training import loop


@pytest.mark.parametrize(
    ("steps", "precision", "devices", "expected"),
    [
        (1999, "float32", [], False),
        (2000, "float32", [], True),
        (2000, "bfloat16", [], False),
        (2000, "bfloat16", ["GPU:0"], True),
        (1999, "float32", ["GPU:0"], False),
    ],
)
def test_xla_is_used_where_it_pays(monkeypatch, steps, precision, devices, expected):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    model = SimpleNamespace(dtype_policy=SimpleNamespace(compute_dtype=precision))
    assert loop._xla_pays(model, steps) is expected
