"""Which class of the data each class without labels has become (Untapped, section 3).

A model that sees labels of some classes only is free in what the other columns of its one-hot code
mean. An image decoded for each column, read by a judge that knows all classes, says it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import check_images, check_labels
from tfssvae.evaluation.classification import error_rate, negative_log_likelihood
from tfssvae.evaluation.codes import top_codes
from tfssvae.evaluation.embedding import choose_rows
from tfssvae.noise import Noise

_MOST_ITERATIONS = 1000
_MOST_PIXELS = 50_000_000  # of the judge's examples: all of MNIST, 16,270 images of CIFAR-10

Judge = Callable[[ArrayLike], NDArray[np.float64]]
"""Returns p(class|image) of images (n, *input_shape): (n, K)."""


def logistic_judge(x: ArrayLike, y: ArrayLike) -> Judge:
    """Train a logistic regression on pixels, the paper's judge.

    Args:
        x: (n, *input_shape) uint8, or float in [0, 1].
        y: (n,) classes; rows of -1 are left out, and every other class has a row.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    labels = check_labels(y)
    known = labels >= 0
    regression = LogisticRegression(max_iter=_MOST_ITERATIONS)
    # As for t-SNE: threads that wait for each other took ten times as long on a busy machine.
    with threadpool_limits(1):
        regression.fit(_pixels(np.asanyarray(x)[known]), labels[known])
    return lambda images: regression.predict_proba(_pixels(images))


def images_of_classes(model, code: ArrayLike) -> NDArray[np.float32]:
    """Return the image of each class at one code (Untapped, Figure 2).

    Args:
        model: a method with `images_of_codes`; what that draws is drawn with one fixed seed.
        code: (d,), such as the mean of `top_codes` over images.

    Returns:
        (K, *input_shape) float32 in [0, 1].
    """
    codes = np.tile(np.asarray(code, "float32"), (model.num_classes, 1))
    labels = tf.range(model.num_classes)
    return model.images_of_codes(tf.constant(codes), labels, Noise(0, 0)).numpy()


def name_classes(probs: ArrayLike, free: Sequence[int]) -> NDArray[np.int64]:
    """Return which class of the model stands for each class of the data.

    Each free class claims the free class of the data that its image is most likely of. Of several
    that claim the same one, that of the highest probability has it; the others claim again, among
    those that are left, which the paper does not say. The other classes stand for themselves.

    Args:
        probs: (K, K) p(class of the data|image of a class of the model), a row per image.
        free: the classes without labels.

    Returns:
        (K,): column k of predictions permuted by it is about class k of the data.

    >>> name_classes([[1, 0, 0], [0, 0.2, 0.8], [0, 0.4, 0.6]], free=[1, 2]).tolist()
    [0, 2, 1]
    """
    found = np.asarray(probs, "float64")
    stands_for = np.arange(len(found))
    unnamed, names = np.array(free), np.array(free)
    while len(unnamed):
        claims = found[np.ix_(unnamed, names)]
        wanted, sure = claims.argmax(axis=1), claims.max(axis=1)
        claimed = np.unique(wanted)
        winners = [max(np.flatnonzero(wanted == name), key=sure.__getitem__) for name in claimed]
        stands_for[names[claimed]] = unnamed[winners]
        unnamed, names = np.delete(unnamed, winners), np.delete(names, claimed)
    return stands_for


def free_class_report(model, data, x: ArrayLike, y: ArrayLike) -> dict[str, Any]:
    """Return what a run should record of classes without labels, ready for JSON.

    Args:
        model: any method.
        data: the `Data` that it was trained on.
        x: (n, *input_shape) examples to judge by.
        y: (n,) their true classes.

    Returns:
        "free_cross_entropy" (nats) and "free_accuracy" of the examples of classes without labels,
        the columns of the predictions permuted by `name_classes`; "decoded_as" and
        "decoded_as_probability": class -> what the judge takes its image at the mean code of
        labelled images for, and how sure it is; "distinct_classes": how many different classes
        these are. The judge sees all training images, of large ones 50 million pixels. Nothing
        where all classes have labels or none has, where the true classes of training examples are
        not known, or where the method does not decode a code and a class.
    """
    names = data.class_names
    free = [names.index(name) for name in data.classes_without_labels]
    labels = check_labels(y)
    rows = np.isin(labels, free)
    known = set(np.unique(data.hidden_labels).tolist()) >= set(range(data.num_classes))
    decodes = hasattr(model, "images_of_codes")
    if not (decodes and known and rows.any() and len(data.labelled_indices)):
        return {}
    code = top_codes(model, data.x_train[data.labelled_indices]).mean(axis=0)
    shown = _of_every_class(data.hidden_labels, _MOST_PIXELS // data.x_train[0].size)
    judge = logistic_judge(data.x_train[shown], data.hidden_labels[shown])
    seen_as = judge(images_of_classes(model, code))
    examples = np.asanyarray(x)[rows]
    predicted = model.predict(examples, batch_size=500, verbose=0)[:, name_classes(seen_as, free)]
    best = seen_as.argmax(axis=1)
    return {
        "free_cross_entropy": negative_log_likelihood(predicted, labels[rows]),
        "free_accuracy": 1.0 - error_rate(predicted, labels[rows]),
        "distinct_classes": len(set(best.tolist())),
        "decoded_as": {name: names[k] for name, k in zip(names, best, strict=True)},
        "decoded_as_probability": dict(zip(names, seen_as.max(axis=1).tolist(), strict=True)),
    }


def _of_every_class(y: NDArray[np.int32], most: int) -> NDArray[np.int64]:
    """Return all rows, or about `most` of them: of every class as many as there are, or its share.

    >>> _of_every_class(np.array([0, 1, 1, 1, 0, 1, 1, 0]), most=4).size
    4
    """
    if len(y) <= most:
        return np.arange(len(y))
    classes = np.unique(y)
    share = max(1, most // len(classes))
    of_classes = (np.flatnonzero(y == k) for k in classes)
    return np.sort(np.concatenate([rows[choose_rows(len(rows), share)] for rows in of_classes]))


def _pixels(images: ArrayLike) -> NDArray[np.float32]:
    """Return images as rows of pixels in [0, 1]."""
    checked = check_images(images, "images")
    scale = 255.0 if checked.dtype == np.uint8 else 1.0
    return np.asarray(checked.reshape(len(checked), -1) / np.float32(scale), np.float32)
