"""No wrong value reaches a loss: it is refused in a sentence, and what is not is what was meant.

What is right is judged by `truth`, which knows nothing of the library. Right rows must pass, too.
For an hour, and with examples that no run has seen before:

    FUZZ_SECONDS=900 python -m pytest tests/fuzz/test_fuzz_rows.py
"""

import functools
import os
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

import tfssvae
from tests.fuzz import truth
from tests.fuzz.wrong_rows import SHAPES, K, Rows, rows_of_arrays, rows_of_tensors
from tfssvae import data
from tfssvae.array_inputs import checked_arrays
from tfssvae.batch import make_batch
from tfssvae.batch_checks import checked_batch, input_errors
from tfssvae.checks import InputError
from tfssvae.noise import Noise

IMAGE = SHAPES["images"]


def for_long(search):
    """Run a search once, or again and again for as long as the environment asks."""
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "0"))
    search()
    while time.monotonic() < end:
        search()


def examples(factor):
    """Return settings with another number of examples than is usual."""
    return settings(max_examples=max(1, int(settings.default.max_examples * factor)))


def passed(road):
    """Return what comes out of a road, or None where it ends with a printable sentence."""
    try:
        return road()
    except InputError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 1000
    return None


def test_arrays():
    @examples(20)
    @given(rows_of_arrays())
    def search(drawn):
        shape, (x, y, weights) = drawn
        wanted = of_arrays(x, y, weights, shape)
        found = passed(lambda: checked_arrays(x, y, weights, shape, K))
        if found is not None:
            images, classes, factors = found
            found = scaled(images), classes, factors
        judge(found, wanted, x, y, weights)

    for_long(search)


def of_arrays(x, y, weights, shape):
    """Return what arrays mean; None where something is wrong."""
    found = [truth.images(x, shape, any_integer=True), truth.labels(y, K)]
    if weights is not None:
        found.append(truth.weights(weights))
    if any(part is None for part in found) or len({len(part.value) for part in found}) > 1:
        return None
    return found


def scaled(images):
    """Return images as `truth` has them."""
    return np.asarray(images, np.float64) / (255 if images.dtype == np.uint8 else 1)


def judge(found, wanted, *given):
    """Assert that what came out is what was meant, and that what is plainly right came out."""
    if found is None:
        assert wanted is None or not all(part.plain for part in wanted), f"refused: {given}"
        return
    assert wanted is not None, f"wrong, and not refused: {given}"
    for part, meant in zip(found, wanted, strict=False):
        np.testing.assert_allclose(np.asarray(part), meant.value, atol=2e-6)
        assert np.shape(part) == meant.value.shape


def test_data_from_arrays_and_files(tmp_path):
    file = tmp_path / "data.npz"

    @examples(10)
    @given(rows_of_arrays())
    def search(drawn):
        shape, (x, y, _) = drawn
        wanted = of_arrays(x, y, None, shape)
        if wanted is not None and truth.is_dark(wanted[0].value):
            wanted = [part._replace(plain=False) for part in wanted]
        roads = [lambda: data.from_arrays(x, y, num_classes=K)]
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and not np.ma.isMA(x):
            np.savez(file, x_train=x, y_train=np.ma.getdata(y))
            masked = np.ma.isMA(y) and np.ma.getmaskarray(y).any()  # a file has no masks
            roads += [] if masked else [lambda: data.load(file, num_classes=K)]
        for road in roads:
            found = passed(road)
            if found is not None and found.input_shape != shape:
                continue  # another shape is another data set: the model says so
            judge(found and (scaled(found.x_train), found.y_train), wanted, x, y)

    for_long(search)


def seen(parts):
    """Return what a step sees of a batch before its loss."""
    x = {name: part for name, part in parts.items() if name not in ("y", "weights")}
    data = x.get("x", x), parts["y"], parts.get("weights")
    batch = make_batch(checked_batch(data, K), IMAGE, K, Noise(0, 0))
    return batch.images, batch.labels, batch.weights


@functools.lru_cache(maxsize=300)
def graph_of(specs):
    """Return `seen`, traced for tensors of such names, types and shapes."""
    return tf.function(seen, autograph=False).get_concrete_function(dict(specs))


def parts_of(rows: Rows):
    """Return the tensors of a batch by name."""
    images = rows.x if isinstance(rows.x, dict) else {"x": rows.x}
    weights = {} if rows.weights is None else {"weights": rows.weights}
    return {name: tf.constant(part) for name, part in {**images, "y": rows.y, **weights}.items()}


def in_graph(parts):
    """Return `seen` of a graph that was traced for any number of rows."""
    shapes = {name: [None, *t.shape[1:]] if t.shape else [] for name, t in parts.items()}
    specs = tuple((name, tf.TensorSpec(shapes[name], t.dtype)) for name, t in parts.items())
    return graph_of(specs)(parts)


def of_tensors(rows: Rows):
    """Return what a step has to see of a batch; None where something is wrong."""
    x = rows.x if isinstance(rows.x, dict) else {"labelled": rows.x, "unlabelled": rows.x}
    found = [truth.images(part, IMAGE, any_integer=False) for part in x.values()]
    y = truth.labels(rows.y, K)
    w = truth.weights(
        np.ones(len(found[0].value)) if rows.weights is None and found[0] else rows.weights
    )
    if any(part is None for part in [*found, y, w]) or has_nan(rows.y):
        return None
    if len({len(found[0].value), len(y.value), len(w.value)}) > 1:
        return None
    plain = all(part.plain for part in [*found, y, w]) and np.ndim(rows.y) < 3
    together = np.concatenate([part.value for part in found])
    return [
        truth.Truth(together, plain),
        truth.Truth(y.value, plain),
        truth.Truth(np.where(y.value >= 0, w.value, 0), plain),
    ]


def has_nan(y):
    return bool((y != y).any())


@pytest.mark.parametrize(("road", "factor"), [(seen, 20), (in_graph, 2)])
def test_batches(road, factor):
    @examples(factor)
    @given(rows_of_tensors())
    def search(rows):
        with_sentences = input_errors()(lambda: road(parts_of(rows)))
        judge(passed(with_sentences), of_tensors(rows), rows)

    for_long(search)


def test_steps():
    model = tfssvae.models.M2(IMAGE, K, latent_dim=2, hidden=(4,), seed=0)
    model.compile(keras.optimizers.SGD(1e-3))
    model.prepare()
    before = [weight.numpy() for weight in model.weights]

    @examples(0.5)
    @given(rows_of_tensors())
    def search(rows):
        parts = parts_of(rows)
        y, weights = parts.pop("y"), parts.pop("weights", None)
        wanted = of_tensors(rows)

        @input_errors()
        def step():
            return model.train_step((parts.get("x", parts), y, weights))

        logs = passed(step)
        try:
            if logs is None:
                assert wanted is None or not all(part.plain for part in wanted)
                for weight, value in zip(model.weights, before, strict=True):
                    np.testing.assert_array_equal(weight, value)
            else:
                assert wanted is not None
                assert all(np.isfinite(value.numpy()) for value in logs.values())
        finally:
            model.set_weights(before)

    for_long(search)
