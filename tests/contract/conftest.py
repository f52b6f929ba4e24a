"""Small models of every method, on the embedded digits."""

import keras
import numpy as np
import pytest

import tfssvae

SMALL = {"latent_dim": 4, "hidden": (24, 16)}
"""Constructor arguments that make a method small."""

SMALL_OF = {
    "m1m2": {**SMALL, "style_dim": 3, "style_hidden": (16,)},
    "adgm": {**SMALL, "auxiliary_dim": 4},
    "sdgm": {**SMALL, "auxiliary_dim": 4},
    "lvae": {"latent_dims": (4, 3), "hidden": (24, 16)},
    "exon": {"latent_dim": 2, "hidden": (24, 16), "filters": (4, 8)},
    "cagem": {"latent_dims": (4, 3), "hidden": (24, 16)},
    "parted_vae": {**SMALL, "style_dim": 3, "backbone": "mlp"},
}
"""The same of the methods that have other arguments."""

NOISELESS = {"exon": {"dropout": 0.0}}
"""Arguments without which networks draw noise of their own, which each replica draws for itself."""

GENTLE = {
    "exon": {"weights": {"classification": 1.0, "*_consistency": 1.0}},
    "parted_vae": {"weights": {"*": 1.0, "kl_u": 0.05}},
}
"""Arguments without which plain gradient descent would diverge, or float16 overflow."""


THOROUGH = {"m2", "lvae"}
"""Methods that run the long tests on every change: plain, and with batch normalisation. The other
methods run them with `-m slow`."""

LEARNING = {
    "test_unlabelled_images_help_in_every_draw",
    "test_an_unaided_method_models_the_images",
}
"""The longest tests, which only M2 runs on every change."""

LONG = {
    "test_data_that_does_not_fit_is_streamed_with_a_word",
    "test_the_same_seed_is_the_same_run_and_another_is_not",
    "test_a_run_trains_and_traces_once",
    "test_a_resumed_loop_ends_bit_equal",
    "test_backup_and_restore_resumes_fit_bit_equal",
    "test_a_loaded_model_trains_on_as_the_saved_one",
    "test_xla_agrees_with_the_plain_graph_on_equal_noise",
    "test_half_precision_moves_like_float32",
    "test_two_replicas_equal_one_device",
    "test_the_loop_runs_on_two_replicas_as_fit_does",
    "test_data_without_any_label_trains_the_unlabelled_bound",
    "test_data_with_all_labels_trains_the_labelled_bound",
    "test_standard_callbacks_work_with_both_drivers",
    "test_every_regularizer_adds_its_terms_to_any_method",
}


def pytest_itemcollected(item):
    """Mark the long tests of most methods as slow."""
    given = getattr(item, "callspec", None)
    method = given.params.get("name") if given else None
    kept = {"m2"} if item.originalname in LEARNING else THOROUGH
    if method is not None and method not in kept and item.originalname in LONG | LEARNING:
        item.add_marker(pytest.mark.slow)


def small(name):
    """Return the constructor arguments that make a method small."""
    return SMALL_OF.get(name, SMALL)


def is_labelled(term):
    """Whether a term is about labelled rows only."""
    return term.startswith(("labelled_", "classification"))


def main_term(model):
    """The name of the term that says how well unlabelled images are explained."""
    return next(
        term for term in model.TERMS if term in ("reconstruction", "unlabelled_reconstruction")
    )


def make_model(name, data, optimizer="adam", jit_compile=False, run_eagerly=False, **arguments):
    """Return a compiled small model of a method."""
    method = tfssvae.METHODS[name]
    model = method(data.input_shape, data.num_classes, **{**small(name), "seed": 1, **arguments})
    if optimizer == "adam":
        optimizer = keras.optimizers.Adam(1e-3)
    model.compile(optimizer, metrics=["accuracy"], jit_compile=jit_compile, run_eagerly=run_eagerly)
    return model


def eager_model(name, data, **arguments):
    """Return a model whose steps are not traced: quick where only a few are taken."""
    return make_model(name, data, run_eagerly=True, **arguments)


def flat_weights(model):
    """Return all weights, trainable or not, as one vector."""
    return np.concatenate([np.ravel(value) for value in model.get_weights()])


@pytest.fixture(scope="session")
def data():
    """Digits with 10 labels per class."""
    return tfssvae.data.load("digits", labels_per_class=10, seed=0)


@pytest.fixture(scope="session", params=sorted(tfssvae.METHODS))
def name(request):
    """Every method."""
    return request.param


@pytest.fixture(scope="session")
def batch(data):
    """One batch as Keras passes it: 20 labelled and 30 unlabelled digits, 15 bare labels."""
    labelled, unlabelled = data.labelled_indices[:20], data.unlabelled_indices[:30]
    x = {
        "labelled": data.x_train[labelled],
        "unlabelled": data.x_train[unlabelled],
        "unfeatured": np.arange(15) % 10,
    }
    return x, data.y_train[labelled]
