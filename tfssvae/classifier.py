"""Any method as a scikit-learn estimator: arrays in, predictions out."""

import copy
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tfssvae.checks import InputError, check_positive, closest, refuse_masked
from tfssvae.class_labels import (
    UNLABELLED,
    Labels,
    encode_labels,
    labels_of,
    named_labels,
    rows_that_count,
)
from tfssvae.core import SemiSupervisedVAE, constructor_arguments
from tfssvae.data import Data, from_arrays
from tfssvae.data.pipeline import Order, endless_batches, training_order
from tfssvae.defaults import default_weights
from tfssvae.models import METHODS
from tfssvae.scoring import rows_to_score
from tfssvae.suitability import check_suits
from tfssvae.training import train
from tfssvae.value_range import DARK_FLOAT, DARK_WHOLE
from tfssvae.weights import Weight

_ROWS_AT_A_TIME = 500
_MAX_SEED = np.iinfo(np.int32).max
_SET_BY_USER = "set it as an argument of SSVAEClassifier"
_SET_BY_FIT = "fit sets it"
_OWN_ARGUMENTS = {
    "input_shape": _SET_BY_FIT,
    "num_classes": _SET_BY_FIT,
    "seed": "set random_state of SSVAEClassifier",
    "weights": _SET_BY_USER,
    "latent_dim": _SET_BY_USER,
    "hidden": _SET_BY_USER,
}


class SSVAEClassifier(
    ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, BaseEstimator
):
    """Semi-supervised VAE for tables and images, trained on labelled and unlabelled rows.

    Rows whose label is -1 are unlabelled, as in `sklearn.semi_supervised`, and so are those whose
    label is missing: None, NaN, pandas' NA, a null of polars or masked. -1 can stand among text in
    a list or an array of dtype object, which scikit-learn cannot split for cross-validation: see
    `unlabelled`.

    Features are brought to [0, 1], the range that the methods model, once and for all in `fit`:
    uint8 features are pixels and are divided by 255; features that are all in [0, 1] already stay
    as they are; otherwise each feature is scaled by its own minimum and maximum. So are uint8
    features of at most 63 (counts, digits of 0 to 16; of 0 and 1 they are in [0, 1]) and floats of
    at most 1/64, which would be nearly black: dark pictures may be given as X / 255. Later values
    beyond these limits are clipped.

    Args:
        method: name of the method, one of `tfssvae.METHODS`.
        epochs: passes over the unlabelled rows (over the labelled ones where all have labels). A
            pass over few rows is few steps: small tables need hundreds of epochs.
        latent_dim: size of the latent code; None is the method's default.
        hidden: units of the hidden layers of the default networks; None is the method's default.
        labelled_batch: labelled rows per step, or all of them where there are fewer.
        unlabelled_batch: unlabelled rows per step, or all of them where there are fewer.
        unfeatured_batch: labels without rows per step, where `fit` is given some.
        learning_rate: of Adam, a number or a Keras schedule.
        weights: term -> number or schedule; None is what the method recommends for the numbers
            of labelled and unlabelled rows and of steps at hand.
        image_shape: None: a row of X is a list of features. (height, width) or (height, width,
            channels): a row of X holds the pixels of such an image. Images (n, height, width) and
            (n, height, width, channels) are accepted as they are.
        method_args: further arguments of the method, such as `likelihood` or networks. Networks
            are copied in every fit and never trained themselves. The default likelihood of the
            methods is for images; {"likelihood": "gaussian"} often suits tables better.
        unlabelled: the label that marks a row without one. For text that is to be cross-validated
            take a text, such as "": scikit-learn sorts labels, and neither -1 nor None sorts with
            text. None where -1 is a class: unlabelled are then the missing labels alone.
        random_state: int, RandomState or None. An int makes every fit on the same data, with the
            same versions and kind of device, the same.
        verbose: 1 shows a progress bar, 2 a line per epoch.

    Attributes:
        classes_: (K,) sorted labels, without `unlabelled`; those that no row has are among them.
        n_features_in_: features of a row; for images the number of pixels times channels.
        feature_names_in_: (n_features_in_,) column names, where X had them.
        model_: the trained `tfssvae.SemiSupervisedVAE`; its inputs are scaled to [0, 1].
        scaler_: the `MinMaxScaler` from features to [0, 1].
        history_: name -> value per epoch: the loss, its terms (nats) and the monitors.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> y_few = np.where(np.arange(len(y)) % 10 == 0, y, -1)
        >>> clf = SSVAEClassifier(
        ...     epochs=100, latent_dim=2, hidden=(32,), learning_rate=1e-2, random_state=0
        ... )
        >>> clf.fit(X, y_few).score(X, y) > 0.8
        True
        >>> clf.transform(X).shape
        (150, 2)
    """

    def __init__(
        self,
        method: str = "m2",
        *,
        epochs: int = 100,
        latent_dim: int | None = None,
        hidden: Sequence[int] | None = None,
        labelled_batch: int = 100,
        unlabelled_batch: int = 200,
        unfeatured_batch: int = 100,
        learning_rate: float = 1e-3,
        weights: Mapping[str, Weight] | None = None,
        image_shape: Sequence[int] | None = None,
        method_args: Mapping[str, Any] | None = None,
        unlabelled: float | str | None = UNLABELLED,
        random_state=None,
        verbose: int = 0,
    ):
        self.method = method
        self.epochs = epochs
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.labelled_batch = labelled_batch
        self.unlabelled_batch = unlabelled_batch
        self.unfeatured_batch = unfeatured_batch
        self.learning_rate = learning_rate
        self.weights = weights
        self.image_shape = image_shape
        self.method_args = method_args
        self.unlabelled = unlabelled
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        unfeatured: ArrayLike | str | None = None,
    ):
        """Train a new model.

        Args:
            X: (n, d) features, or images (n, h, w) or (n, h, w, c).
            y: (n,) labels, `unlabelled` or missing where there is none.
            sample_weight: (n,) factors >= 0 of the labelled rows' terms of the loss. They are not
                normalised: 2 doubles what a label counts against the unlabelled rows. A labelled
                row of weight 0 is left out; weights of unlabelled rows are ignored.
            unfeatured: labels that have no row, for methods that learn from them ("untapped"):
                (F,) labels, also of classes that y has not; (F, K) class probabilities in the
                order of `classes_`, of which a class is drawn each time; or "classes", every class
                once.

        Returns:
            self.

        Raises:
            InputError: an argument is out of range, there are fewer than two classes, the method
                refuses its arguments, or learns nothing from labels without rows; X is masked, or
                rows without a label are marked otherwise than `unlabelled` says.
            ValueError: X or y is not an array that scikit-learn accepts.
        """
        epochs = check_positive(self.epochs, "epochs")
        labelled_batch = check_positive(self.labelled_batch, "labelled_batch")
        unlabelled_batch = check_positive(self.unlabelled_batch, "unlabelled_batch")
        unfeatured_batch = check_positive(self.unfeatured_batch, "unfeatured_batch")
        learning_rate = _checked_rate(self.learning_rate)
        arguments = self._arguments()
        labels = labels_of(y, self.unlabelled)
        rows = validate_data(self, _as_rows(X))
        check_consistent_length(rows, labels.values)
        row_shape = X.shape[1:] if _are_images(X) else rows.shape[1:]
        example_shape = _example_shape(self.image_shape, row_shape)
        label_weights = None
        if sample_weight is not None:
            kept, weights = rows_that_count(rows, labels, sample_weight)
            rows, label_weights = rows[kept], weights[kept]
            labels = Labels(labels.values[kept], labels.known[kept])
        named = named_labels(unfeatured, self.unlabelled)
        targets, classes, further = encode_labels(labels, named)
        scaler = _fit_scaler(rows)
        data = from_arrays(
            _scale(rows, scaler).reshape(-1, *example_shape),
            targets,
            num_classes=len(classes),
            seed=_draw_seed(self.random_state),
            unfeatured=unfeatured if named is None else further,
        )
        order = training_order(
            data,
            min(labelled_batch, len(data.labelled_indices)),
            min(unlabelled_batch, len(data.unlabelled_indices)),
            unfeatured=unfeatured_batch,
        )
        steps = epochs * order.steps_per_epoch
        model = _build_model(self.method, data, self.weights, arguments, learning_rate, steps)
        self.history_ = _train(model, data, order, epochs, label_weights, self.verbose)
        self.model_, self.scaler_, self.classes_ = model, scaler, classes
        self._row_shape = row_shape
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable label of each row: (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return q(y|x) for each row, (n, K), in the order of `classes_`."""
        inputs = self._model_input(X)
        # Not `model_.predict`, which compiles first: that takes longer than all of these calls.
        blocks = (inputs[i : i + _ROWS_AT_A_TIME] for i in range(0, len(inputs), _ROWS_AT_A_TIME))
        return np.concatenate([self.model_(block).numpy() for block in blocks])

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the posterior mean of the latent code of each row: (n, latent_dim)."""
        inputs = self._model_input(X)  # before `model_` is looked up, which may not be there yet
        return self.model_.encode(inputs)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on the rows that have a label: the others are left out.

        Cross-validation on partly labelled data therefore measures what it should; for other
        measures see `tfssvae.labelled_scorer`.

        Args:
            X: (n, d) features or images.
            y: (n,) labels, `unlabelled` or missing where there is none.
            sample_weight: (n,) weights of the rows.

        Raises:
            InputError: no row has a label.
        """
        predicted, labels = self.predict(X), rows_to_score(y, self.unlabelled)
        check_consistent_length(predicted, labels.values, sample_weight)
        known, weights = labels.known, None
        if sample_weight is not None:
            refuse_masked(sample_weight, "sample_weight")
            weights = np.asarray(sample_weight)[known]
        return float(accuracy_score(labels.values[known], predicted[known], sample_weight=weights))

    def sample(self, y: ArrayLike, random_state=None) -> NDArray[np.float64]:
        """Generate one example per label.

        Args:
            y: (n,) labels out of `classes_`.
            random_state: int, RandomState or None.

        Returns:
            (n, ...) expected features given a random code, in the shape and the units of the rows
            of X in `fit`.

        Raises:
            InputError: a label is unknown.
        """
        check_is_fitted(self, "model_")
        labels = np.asarray(y).reshape(-1)
        known = np.isin(labels, self.classes_)
        if not known.all():
            raise InputError(
                f"y has the unknown label {labels[~known][0]}: use labels out of "
                + ", ".join(map(str, self.classes_))
            )
        generated = self.model_.generate(
            np.searchsorted(self.classes_, labels), _draw_seed(random_state)
        )
        rows = self.scaler_.inverse_transform(generated.reshape(len(labels), -1).astype("float64"))
        return rows.reshape(-1, *self._row_shape)

    def _model_input(self, X: ArrayLike) -> NDArray[Any]:
        """Return rows or images as the model wants them."""
        check_is_fitted(self, "model_")
        rows = validate_data(self, _as_rows(X), reset=False)
        shape = self.model_.example_shape
        if _are_images(X) and _example_shape(None, X.shape[1:]) != shape:
            wanted = ", ".join(map(str, shape))
            raise InputError(f"X must have shape (n, {wanted}), got {X.shape}")
        return _scale(rows, self.scaler_).reshape(-1, *shape)

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of the method that the user chose."""
        given = {} if self.method_args is None else self.method_args
        if not isinstance(given, Mapping):
            raise InputError(f"method_args must be a dict of arguments, got {given!r}")
        for name in _OWN_ARGUMENTS:
            if name in given:
                raise InputError(f'method_args must not have "{name}": {_OWN_ARGUMENTS[name]}')
        # A copy: a fit must leave networks and regularizers, which have state, as they were.
        arguments = copy.deepcopy(dict(given))
        if self.latent_dim is not None:
            arguments["latent_dim"] = check_positive(self.latent_dim, "latent_dim")
        if self.hidden is not None:
            arguments["hidden"] = _sizes(self.hidden, "hidden")
        return arguments

    @property
    def _n_features_out(self) -> int:
        """The size of the latent code, which scikit-learn needs for the names of the columns."""
        return self.model_.posterior_mean(tf.zeros((1, *self.model_.example_shape))).shape[-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


# Arrays --------------------------------------------------------------------------------------


def _are_images(X: Any) -> TypeGuard[NDArray[Any]]:
    return getattr(X, "ndim", 2) in (3, 4)


def _as_rows(X: Any) -> Any:
    """Return images as rows of pixels, anything else as it is, for scikit-learn to judge."""
    refuse_masked(X, "X")
    return np.reshape(X, (len(X), -1)) if _are_images(X) and len(X) else X


def _example_shape(image_shape: Sequence[int] | None, row_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that the model sees: (d,) or (height, width, channels)."""
    shape = tuple(row_shape) if image_shape is None else _sizes(image_shape, "image_shape")
    if image_shape is not None and (
        len(shape) not in (2, 3) or np.prod(shape) != np.prod(row_shape)
    ):
        raise InputError(
            "image_shape must be (height, width) or (height, width, channels) and hold the "
            f"{np.prod(row_shape)} values of a row of X, got {shape}"
        )
    return (*shape, 1) if len(shape) == 2 else shape


def _fit_scaler(X: NDArray[Any]) -> MinMaxScaler:
    """Return the map of features (n, d) to [0, 1], from limits that the dtype or the data give."""
    limits: Any = X
    low, high = X.min(), X.max()
    if X.dtype == np.uint8 and (high > DARK_WHOLE or high == 0):
        limits = np.broadcast_to([[0.0], [255.0]], (2, X.shape[1]))
    elif low >= 0 and high <= 1 and (high > DARK_FLOAT or high == 0):
        limits = np.broadcast_to([[0.0], [1.0]], (2, X.shape[1]))
    return MinMaxScaler(clip=True).fit(limits)


def _scale(X: NDArray[Any], scaler: MinMaxScaler) -> NDArray[Any]:
    pixels = X.dtype == np.uint8 and (scaler.data_min_ == 0).all()
    if pixels and (scaler.data_max_ == 255).all():
        return X  # the models divide by 255 themselves, and bytes take a quarter of the memory
    return scaler.transform(X).astype("float32")


# Model and training --------------------------------------------------------------------------


def _draw_seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(_MAX_SEED))


def _build_model(
    method: str,
    data: Data,
    weights: Mapping[str, Weight] | None,
    arguments: Mapping[str, Any],
    learning_rate: Any,
    steps: int,
) -> SemiSupervisedVAE:
    """Return a compiled model of the method for a run of so many steps on the data."""
    if method not in METHODS:
        raise InputError(f'unknown method "{method}": {closest(str(method), METHODS)}')
    method_class: type[SemiSupervisedVAE] = METHODS[method]
    known = {*constructor_arguments(method_class), "name", "dtype"}
    for name in arguments:
        if name not in known:
            raise InputError(f'method "{method}" has no argument "{name}": {closest(name, known)}')
    pixels = int(np.prod(data.input_shape))
    arguments = {**method_class.recommended_arguments(pixels, steps), **arguments}
    if weights is None:
        counts = len(data.labelled_indices), len(data.unlabelled_indices)
        arguments = {"regularizers": method_class.paper_regularizers(**arguments), **arguments}
        weights = default_weights(method_class, arguments["regularizers"], *counts, pixels, steps)
    model = method_class(
        data.input_shape, data.num_classes, weights=weights, seed=data.seed, **arguments
    )
    check_suits(model, data, method)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate))
    return model


def _train(
    model: SemiSupervisedVAE,
    data: Data,
    order: Order,
    epochs: int,
    sample_weight: NDArray[np.float32] | None,
    verbose: int,
) -> dict[str, list[float]]:
    """Train the model for the epochs of the order; return its history."""
    if sample_weight is not None:
        history = model.fit(
            _weighted_batches(data, order, sample_weight),
            epochs=epochs,
            steps_per_epoch=order.steps_per_epoch,
            verbose=verbose,
        )
        return history.history
    history = train(
        model,
        data,
        epochs=epochs,
        labelled=order.labelled_batch,
        unlabelled=order.unlabelled_batch,
        unfeatured=order.unfeatured_batch,
        verbose=verbose,
    )
    return history.history


def _weighted_batches(data: Data, order: Order, weights: NDArray[np.float32]) -> tf.data.Dataset:
    """Return the batches of all steps, with the weights of their labelled rows."""

    def weights_of_step(step):
        return weights[order.rows(int(step), 1)[0][0]]

    def as_tensor(step):
        values = tf.numpy_function(weights_of_step, [step], tf.float32, stateful=False)
        return tf.ensure_shape(values, [order.labelled_batch])

    weights_of_steps = tf.data.Dataset.counter().map(as_tensor)
    batches = tf.data.Dataset.zip(endless_batches(data, order, 0), weights_of_steps)
    return batches.map(lambda batch, values: (*batch, values))


# Arguments -----------------------------------------------------------------------------------


def _sizes(values: Any, name: str) -> tuple[int, ...]:
    """Return a sequence of one or more positive whole numbers as a tuple."""
    sizes = tuple(values) if isinstance(values, Sequence | np.ndarray) else ()
    if not sizes:
        raise InputError(f"{name} must be whole numbers such as (64, 64), got {values!r}")
    return tuple(check_positive(size, name) for size in sizes)


def _checked_rate(rate: Any) -> Any:
    """Return a learning rate that is a positive number or a Keras schedule."""
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate
    if isinstance(rate, Real) and 0 < float(rate) < float("inf"):
        return float(rate)
    raise InputError(f"learning_rate must be a positive number or a Keras schedule, got {rate!r}")
