"""Every wrong value on every road is refused in a sentence, or becomes what was meant.

A cell of the table is a test. Where a value is impossible the table says why.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.roads.roads import ROADS, Refused, model_of, pipeline_of
from tests.roads.table import CONVERTED, IMPOSSIBLE, REFUSED, TABLE, markdown
from tests.roads.wrong_values import KINDS
from tfssvae.checks import InputError

PAGE = Path(__file__).parents[2] / "docs" / "what_is_checked.md"
OTHERS = {  # roads whose refusals may come from outside: scikit-learn, TensorFlow, a server
    "`SSVAEClassifier`": ValueError,
    "exported model": (TypeError, ValueError, tf.errors.InvalidArgumentError),
    "served model": Refused,
    "command line": Refused,
    "shards": Refused,
}


def cells(outcome):
    return [
        (road, kind) for road in TABLE for kind in KINDS if TABLE[road][kind].outcome == outcome
    ]


@pytest.mark.parametrize("road", ROADS)
def test_right_rows_arrive(road, right):
    assert np.isfinite(right(road)).all()


def test_the_same_rows_give_the_same_loss_on_every_road(right):
    without_loss = {"`SSVAEClassifier`", "exported model", "served model"}
    for road in set(ROADS) - without_loss:
        np.testing.assert_allclose(right(road), right("numpy array"), rtol=1e-5, err_msg=road)
    np.testing.assert_allclose(right("exported model"), right("served model"), rtol=1e-5)


@pytest.mark.parametrize(("road", "kind"), cells(REFUSED))
def test_a_wrong_value_is_refused(road, kind, rows, place):
    with pytest.raises(OTHERS.get(road, InputError)) as refusal:
        ROADS[road](KINDS[kind].of(rows), place)
    message = str(refusal.value)
    assert re.search(KINDS[kind].found, message), message
    if isinstance(refusal.value, InputError | Refused):
        assert message.isprintable(), message
        assert len(message) < 400, message


@pytest.mark.parametrize(("road", "kind"), cells(CONVERTED))
def test_a_wrong_value_becomes_what_was_meant(road, kind, rows, place, right, tmp_path):
    meant = TABLE[road][kind].meant(rows)
    found = ROADS[road](KINDS[kind].of(rows), place)
    (tmp_path / "meant").mkdir()
    other = place._replace(folder=tmp_path / "meant")
    wanted = right(road) if meant is rows else ROADS[road](meant, other)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


VALUES = ["floats in 0..255", "NaN", "K", "-2", "2.7", "NaN label", "weight below 0"]


@pytest.mark.parametrize("kind", VALUES)
def test_xla_leaves_no_check_out(kind, rows):
    model = model_of(8, 8, 1, jit_compile=True)
    with pytest.raises(InputError, match=KINDS[kind].found):
        model.evaluate(pipeline_of(KINDS[kind].of(rows)), verbose=0)


def test_xla_ends_a_training_step_before_it_changes_anything(rows):
    model = model_of(8, 8, 1, jit_compile=True)
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(InputError, match="255"):
        model.fit(pipeline_of(KINDS["floats in 0..255"].of(rows)), verbose=0)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_xla_takes_right_rows(rows, right):
    model = model_of(8, 8, 1, jit_compile=True)
    logs = model.evaluate(pipeline_of(rows), verbose=0, return_dict=True)
    found = [logs[name] for name in sorted(logs)]
    np.testing.assert_allclose(found, right("`tf.data`"), rtol=1e-4, atol=1e-5)


def test_what_is_impossible_has_a_reason():
    for road, kind in cells(IMPOSSIBLE):
        assert TABLE[road][kind].why, (road, kind)


def test_the_documentation_has_this_table():
    assert list(TABLE) == list(ROADS)
    assert markdown() in PAGE.read_text(encoding="utf-8"), "python -m tests.roads.table prints it"
