"""Classes without labels: which class of the data each has become, and what that is worth."""

import numpy as np
import pytest
import tensorflow as tf

from tfssvae import data, evaluation, models
from tfssvae.evaluation import free_classes
from tfssvae.evaluation.free_classes import logistic_judge

FREE = [2, 3, 4]


def probabilities(rows):
    """(5, 5) of which only the rows of the free classes matter."""
    found = np.full((5, 5), 0.2)
    found[2:] = rows
    return found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Each is surest of another one.
        ([[0, 0, 0.1, 0.9, 0], [0, 0, 0, 0.2, 0.8], [0, 0, 1, 0, 0]], [4, 2, 3]),
        # The first two claim the same one: the surer has it, the other what is left.
        ([[0, 0, 0.6, 0.4, 0], [0, 0, 0.9, 0.1, 0], [0, 0, 0, 0, 1]], [3, 2, 4]),
        # The loser, for all its probability, cannot have what another claimed first.
        ([[0, 0, 0.55, 0.45, 0], [0, 0, 0.9, 0, 0.1], [0, 0, 0.1, 0.3, 0.2]], [3, 4, 2]),
        # What is left goes to the surer, too.
        ([[0, 0, 0.8, 0.1, 0.1], [0, 0, 0.7, 0.2, 0.1], [0, 0, 0.6, 0.3, 0.1]], [2, 4, 3]),
        # An image of a class with labels: the likeliest of the others counts.
        ([[0.9, 0, 0, 0, 0.1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], [3, 4, 2]),
    ],
)
def test_free_classes_are_named_by_their_images(rows, expected):
    found = evaluation.name_classes(probabilities(rows), FREE)
    assert found.tolist() == [0, 1, *expected]


def test_the_judge_knows_the_digits_in_either_dtype(digits):
    y = digits.hidden_labels.copy()
    y[::2] = -1
    judge = logistic_judge(digits.x_train, y)
    found = judge(digits.x_test)
    assert found.shape == (359, 10)  # -1 is no class
    assert np.mean(found.argmax(1) == digits.y_test) > 0.9
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(judge(digits.x_test / 255), found, atol=1e-5)


@pytest.mark.parametrize("name", ["m2", "untapped", "shot_vae", "adgm"])
def test_every_class_is_decoded_at_the_code(digits, name):
    sizes = {"auxiliary_dim": 4} if name == "adgm" else {}
    model = models.METHODS[name]((8, 8, 1), 10, latent_dim=2, hidden=(8,), **sizes)
    model.set_weights([2 * value for value in model.get_weights()])
    found = evaluation.images_of_classes(model, [0.3, -0.8])
    for k in (0, 7):
        code, y = np.float32([[0.3, -0.8]]), np.eye(10, dtype="float32")[k : k + 1]
        outputs = model.decode(None, y, code) if name == "adgm" else model.decode(code, y)
        np.testing.assert_allclose(found[k], tf.sigmoid(outputs)[0], rtol=1e-5)
    assert np.abs(found[0] - found[7]).max() > 1e-3


PERMUTED = np.array([0, 1, 2, 3, 4, 8, 6, 5, 9, 7])  # class of the model -> digit, as in Figure 2


class Permuted:
    """A model that knows all digits, but calls those from 5 on by other numbers."""

    num_classes = 10

    def __init__(self, loaded):
        self.images = np.stack(
            [loaded.x_train[loaded.hidden_labels == k].mean(0) / 255 for k in PERMUTED]
        ).astype("float32")
        self.labelled = loaded.x_train[loaded.labelled_indices]
        self.digit_of = {x.tobytes(): y for x, y in zip(loaded.x_test, loaded.y_test, strict=True)}

    def encode(self, x):
        np.testing.assert_array_equal(x, self.labelled)
        return np.linspace([0.0, 2.0], [1.0, 2.0], len(x), dtype="float32")

    def images_of_codes(self, codes, labels, noise):
        np.testing.assert_allclose(codes, [[0.5, 2.0]] * 10, rtol=1e-5)
        return tf.gather(self.images, labels)

    def predict(self, x, batch_size, verbose):
        digits = np.array([self.digit_of[image.tobytes()] for image in x])
        probs = np.full((len(x), 10), 0.03, "float32")
        sure = np.where(digits == 7, 0.2, 0.73)  # a 7 is taken for a 0
        probs[np.arange(len(x)), PERMUTED.argsort()[digits]] = sure
        probs[digits == 7, 0] = 0.56
        return probs


@pytest.fixture(scope="module")
def halved():
    return data.load("digits", labelled_classes=range(5))


def test_predictions_count_under_the_names_that_the_images_give(halved):
    found = evaluation.free_class_report(
        Permuted(halved), halved, halved.x_test, halved.y_test.copy()
    )
    free = halved.y_test[halved.y_test >= 5]
    wrong = np.mean(free == 7)
    assert found["free_accuracy"] == pytest.approx(1 - wrong)
    expected = -(1 - wrong) * np.log(0.73) - wrong * np.log(0.2)
    assert found["free_cross_entropy"] == pytest.approx(expected, rel=1e-5)
    assert found["distinct_classes"] == 10
    assert found["decoded_as"] == {str(k): str(digit) for k, digit in enumerate(PERMUTED)}
    assert min(found["decoded_as_probability"].values()) > 0.5


def test_classes_that_look_alike_are_counted_once(halved):
    model = Permuted(halved)
    model.images[9] = model.images[5]  # a second 8, and no 7
    found = evaluation.free_class_report(model, halved, halved.x_test, halved.y_test)
    assert found["distinct_classes"] == 9
    assert found["decoded_as"]["9"] == "8"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("m2", {}),
        ("m2", {"labels_per_class": 0}),
        ("m2", {"labelled_classes": [0, 1], "clusters": 12}),
        ("vae", {"labelled_classes": [0, 1]}),
    ],
)
def test_nothing_is_said_where_nothing_is_free_or_can_be_known(method, arguments):
    loaded = data.load("digits", **arguments)
    model = models.METHODS[method]((8, 8, 1), loaded.num_classes, latent_dim=2, hidden=(4,))
    assert evaluation.free_class_report(model, loaded, loaded.x_test, loaded.y_test) == {}


def test_the_judge_of_large_images_sees_a_share_of_every_class():
    y = np.array([0] * 90 + [1] * 2 + [2] * 8)
    found = free_classes._of_every_class(y, most=30)
    assert np.bincount(y[found]).tolist() == [10, 2, 8]
    assert len(set(found)) == 20
    assert np.array_equal(free_classes._of_every_class(y, most=100), np.arange(100))
    assert np.bincount(y[free_classes._of_every_class(y, most=1)]).tolist() == [1, 1, 1]
