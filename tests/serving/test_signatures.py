"""What every method offers beside classify, encode, reconstruct and generate."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.contract.conftest import make_model
from tfssvae.serving import export

ROWS, SAMPLES = 7, 20
PAIRS = {"m2", "adgm", "sdgm", "lvae", "shot_vae", "untapped", "cagem"}
"""Methods that decode a code and a class."""
CODES = {"vae", "m1", "m1m2", "exon", "parted_vae"}
"""Methods whose code holds all that the image is made of."""


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=10)


@pytest.fixture(scope="module")
def images(data):
    return data.x_test[:ROWS]


@pytest.fixture(scope="module", params=sorted(tfssvae.METHODS))
def exported(request, data, tmp_path_factory):
    """A model, what it is served by, and the description of it."""
    model = make_model(request.param, data)
    folder = tmp_path_factory.mktemp(request.param)
    path = export(
        model, folder, input_dtypes="uint8", examples=data.x_test[:50], score_samples=SAMPLES
    )
    interface = json.loads((path / "assets/interface.json").read_text())
    return model, tf.saved_model.load(str(path)).signatures, interface


def test_score_is_the_importance_weighted_bound(exported, images):
    model, served, interface = exported
    found = served["score"](images=tf.constant(images))["log_likelihoods"]
    expected = model.log_likelihood(images, num_samples=SAMPLES, seed=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert interface["score_samples"] == SAMPLES


def test_explain_is_entropy_and_v_nat(exported, images):
    model, served, _ = exported
    found = served["explain"](images=tf.constant(images))
    probs = model.predict(images, verbose=0).astype("float64")
    entropy = -(probs * np.log(np.maximum(probs, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(found["entropies"], entropy, rtol=1e-3, atol=1e-4)
    assert ("v_nats" in found) == hasattr(model, "components")
    if "v_nats" in found:
        _, log_var = model.components(tf.constant(images, tf.float32) / 255)
        per_class = np.log(model.prior.variance) - log_var.numpy()
        expected = (probs[:, :, None] * per_class).sum(axis=1)
        np.testing.assert_allclose(found["v_nats"], expected, rtol=1e-3, atol=1e-4)


def test_decode_takes_the_last_numbers_of_encode(exported, images):
    model, served, interface = exported
    codes = served["encode"](images=tf.constant(images))["codes"][:, -interface["code_size"] :]
    inputs = {"codes": codes}
    name = next(name for name, method in tfssvae.METHODS.items() if method is type(model))
    assert name in PAIRS | CODES
    if name in PAIRS:
        inputs["labels"] = tf.range(ROWS)
        with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be in"):
            served["decode"](codes=codes, labels=tf.fill([ROWS], 10))
    decoded = served["decode"](**inputs)["decoded_images"].numpy()
    assert decoded.shape == images.shape
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    backwards = {key: value[::-1] for key, value in inputs.items()}
    again = served["decode"](**backwards)["decoded_images"].numpy()[::-1]
    np.testing.assert_allclose(again, decoded, atol=1e-5)
    moved = served["decode"](**{**inputs, "codes": codes + 1.0})["decoded_images"]
    assert np.abs(decoded - moved).max() > 1e-3
    if name in PAIRS:
        styles = served["styles"](images=tf.constant(images))["class_images"].numpy()
        np.testing.assert_allclose(styles[range(ROWS), range(ROWS)], decoded, atol=1e-5)


def test_every_class_is_in_the_style_of_the_image(exported, images):
    model, served, _ = exported
    if "styles" not in served:
        assert type(model).__name__ in {"VAE", "M1", "M1M2", "PartedVAE"}
        return
    styles = served["styles"](images=tf.constant(images))["class_images"].numpy()
    assert styles.shape == (ROWS, 10, 8, 8, 1)
    assert np.abs(styles[:, 0] - styles[:, 1]).max() > 1e-4
    if type(model).__name__ == "EXoN":  # an image is itself in its own class
        label = model.predict(images, verbose=0).argmax(axis=1)
        mean = model.components(tf.constant(images, tf.float32) / 255)[0].numpy()
        own = model.images_of_encoding(tf.constant(mean[range(ROWS), label]))
        np.testing.assert_allclose(styles[range(ROWS), label], own, atol=1e-4)


def test_the_plane_is_where_codes_vary_most(exported, data):
    model, _, interface = exported
    codes = model.encode(data.x_test[:50])[:, -interface["code_size"] :].astype("float64")
    plane = interface["plane"]
    np.testing.assert_allclose(plane["mean"], codes.mean(axis=0), atol=1e-4)
    axes = np.array(plane["axes"])
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-3)
    spread = np.sort(((codes - codes.mean(axis=0)) @ axes.T).var(axis=0))[::-1]
    largest = np.linalg.eigvalsh(np.cov(codes.T, bias=True))[::-1][:2]
    if codes.shape[1] > 2:
        np.testing.assert_allclose(spread, largest, rtol=1e-2)
    np.testing.assert_allclose(np.sort(plane["deviation"])[::-1] ** 2, spread, rtol=1e-2)
    assert len(plane["points"]) == 50


def test_codes_that_are_no_numbers_are_refused(exported):
    _, served, interface = exported
    inputs = {"codes": tf.fill([2, interface["code_size"]], float("nan"))}
    if "labels" in interface["signatures"]["decode"]["inputs"]:
        inputs["labels"] = tf.zeros([2], tf.int32)
        one_label = {"codes": tf.zeros_like(inputs["codes"]), "labels": tf.zeros([1], tf.int32)}
        with pytest.raises(tf.errors.InvalidArgumentError, match="every code needs one label"):
            served["decode"](**one_label)
    with pytest.raises(tf.errors.InvalidArgumentError, match="codes must be finite"):
        served["decode"](**inputs)
