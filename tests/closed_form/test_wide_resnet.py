"""Wide residual networks and SHOT-VAE's decoder: sizes, shapes, batch norm of mixed batches."""

import itertools

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae import networks


def conv_weights(depth, width, channels):
    """Weights of a wide residual network without its classifier, counted by hand."""
    blocks, total, before = (depth - 4) // 6, channels * 16 * 9, 16
    for filters in (16 * width, 32 * width, 64 * width):
        for block in range(blocks):
            inputs = before if block == 0 else filters
            total += 2 * inputs + inputs * filters * 9 + 2 * filters + filters * filters * 9
            total += inputs * filters if block == 0 else 0
        before = filters
    return total + 2 * before


@pytest.mark.parametrize(
    ("depth", "width", "shape", "millions"),
    [(28, 2, (32, 32, 3), 1.5), (28, 10, (32, 32, 3), 36.5), (10, 1, (28, 28, 1), 0.1)],
)
def test_sizes_are_the_papers(depth, width, shape, millions):
    network = networks.wide_resnet(shape, depth, width)
    found = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    assert found == conv_weights(depth, width, shape[-1])
    assert round(found / 1e6, 1) == millions
    assert network.output_shape == (None, 64 * width)


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1)])
def test_the_decoder_has_the_authors_size_and_the_images_shape(shape):
    network = networks.class_conv_transpose(128, 10, shape)
    channels, sizes = shape[-1], (1024, 512, 256, 128, 64)
    kernels = 138 * 1024 + sum(16 * a * b for a, b in itertools.pairwise(sizes))
    kernels += 16 * 64 * channels + channels
    found = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    assert found == kernels + 2 * sum(sizes)
    assert round(found / 1e6, 1) == 11.3
    z, y = np.zeros((3, 128), "float32"), np.eye(10, dtype="float32")[:3]
    assert network([z, y]).shape == (3, *shape)


def test_one_batch_of_both_kinds_gives_what_its_concatenation_gives():
    """Labelled and unlabelled images pass as one batch: the statistics are those of all rows."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(8, 16, 16, 3)).astype("float32")
    model = tfssvae.models.ShotVAE(
        (16, 16, 3), 3, latent_dim=4, backbone="wide_resnet_10_1", regularizers=[], epsilon=0.0
    )
    before = [norm.numpy() for norm in model.encoder.non_trainable_variables]
    expected = model.encoder(x, training=True).numpy()
    after = [norm.numpy() for norm in model.encoder.non_trainable_variables]
    for variable, value in zip(model.encoder.non_trainable_variables, before, strict=True):
        variable.assign(value)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    model.train_on_batch({"labelled": x[:3], "unlabelled": x[3:]}, np.array([0, 1, 2]))
    for variable, value in zip(model.encoder.non_trainable_variables, after, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-5)
    halves = np.concatenate([model.encoder(part, training=True) for part in (x[:3], x[3:])])
    assert np.abs(halves - expected).max() > 1e-3


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_ends_in_float32(precision):
    model = tfssvae.models.ShotVAE(
        (16, 16, 3), 3, latent_dim=4, backbone="wide_resnet_10_1", dtype=precision
    )
    x = np.random.default_rng(0).uniform(size=(4, 16, 16, 3)).astype("float32")
    assert model.encoder(x).dtype == precision.removeprefix("mixed_")
    assert model.reconstruct(x).dtype == np.float32
    model.compile("adam", run_eagerly=True)
    logs = model.train_on_batch({"labelled": x, "unlabelled": x}, np.array([0, 1, 2, 0]))
    assert np.isfinite(logs).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: networks.wide_resnet((32, 32, 3), depth=20), "6 n"),
        (lambda: networks.class_conv_transpose(4, 3, (40, 32, 3)), "more filters"),
    ],
)
def test_bad_sizes_are_refused(make, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make()
