"""The base of every method: one batch, named terms, one training step."""

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import checks, importance, losses, metric_labels, model_arguments, strategy_checks
from tfssvae.array_inputs import check_equal_parts, checked_arrays
from tfssvae.batch import Batch, examples, make_batch
from tfssvae.batch_checks import checked_batch, checked_images, input_errors
from tfssvae.class_weights import weighted_by_class
from tfssvae.layers import Augmentation
from tfssvae.library_errors import reason
from tfssvae.network_outputs import check_logits, check_outputs
from tfssvae.noise import Noise
from tfssvae.part_optimizer import PartOptimizer
from tfssvae.progress_bar import with_progress_bar
from tfssvae.replicas import with_rows, with_shared_overflow
from tfssvae.trackers import NamedMeans, mean_and_rows
from tfssvae.weights import Weight, is_one, resolve_weights, weight_at

FIXED_STEP = -1
"""The step whose noise every evaluation draws, so that epochs and batches compare."""


class Terms(NamedTuple):
    """What a method says about a batch.

    Attributes:
        values: name -> (rows,) nats per example, to be minimised. A name that begins with
            "labelled_" or "classification" has one row per labelled example, one that
            begins with "unlabelled_" one per unlabelled example, with "unfeatured_" one per label
            without image; any other is averaged over the rows that it has. One value for the whole
            batch, (1,), counts by the rows of the batch.
        logits: (L + U, K) unnormalised log q(y|x), for metrics and regularizers.
        monitors: name -> values that are logged under "monitor/" and not part of the loss.
        latents: name -> posterior q(.|x) of each example (L + U rows), such as "z", that a
            regularizer may use.
    """

    values: dict[str, tf.Tensor]
    logits: tf.Tensor
    monitors: dict[str, tf.Tensor] = {}  # noqa: RUF012 - a default of a NamedTuple, never mutated
    latents: dict[str, tfd.Distribution] = {}  # noqa: RUF012


class SemiSupervisedVAE(keras.Model):
    """A semi-supervised variational autoencoder.

    A method implements `terms`, `predict_logits` and the four views of a trained model
    (`posterior_mean`, `expected_image`, `sample_images`, `log_weights`), and calls `finish()` at
    the end of its constructor. It never overrides the steps.

    The loss is `sum_k weight_k(iterations) * mean(term_k)`; what is logged under a term's name is
    its contribution, so that the logged terms add up to the loss. Where a weight is not the
    constant 1 the term itself is logged as `monitor/<term>`. What an epoch or an evaluation logs is
    the mean over all of its rows that the term counts, whatever the batches (see
    `trackers.NamedMeans`).

    Args:
        input_shape: shape of one example, such as (28, 28, 1) or (64,).
        num_classes: K, at least 2.
        class_prior: p(y): None for uniform, K probabilities, or "labels" to estimate it from the
            labels seen in training (add-one smoothing).
        weights: term -> number or schedule; names may be patterns such as "*_kl_z".
        regularizers: further named terms (see `tfssvae.regularizers`); None is the paper's choice.
        augment: random changes of the images of every training step (see `layers.RandomCrop` and
            its neighbours); evaluation sees the images as they are.
        seed: of the noise and of the initial weights of the default networks.
    """

    TERMS: ClassVar[dict[str, str]] = {}
    """Name -> meaning of every term of the method."""
    EQUATIONS: ClassVar[str] = ""
    """The paper whose equations and sections `TERMS` cites, where it cites any."""
    AUGMENTS_EVERYTHING: ClassVar[bool] = True
    """Whether `augment` changes the whole batch, or the method applies it to some terms itself."""

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        class_prior=None,
        weights: Mapping[str, Weight] | None = None,
        regularizers: Sequence | None = None,
        augment: Augmentation | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # images stay as they come until they are scaled
        self.example_shape = model_arguments.checked_shape(input_shape)
        self.num_classes = model_arguments.checked_classes(num_classes)
        self.num_pixels = int(np.prod(self.example_shape))
        self.class_prior = model_arguments.checked_prior(class_prior, self.num_classes)
        self.weight_settings = dict(weights or {})
        chosen = self.paper_regularizers() if regularizers is None else regularizers
        self.regularizers = model_arguments.checked_regularizers(chosen)
        self.augment = augment
        self.seed = checks.check_seed(seed)
        self.steps_done = self._counter("steps_done", (), "int64")
        self.class_counts = self._counter("class_counts", (self.num_classes,), "float32")

    # What a method implements ------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the named terms of the objective for a batch."""
        raise NotImplementedError

    def predict_logits(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return unnormalised log q(y|x), (batch, K), for images in [0, 1]."""
        raise _not_implemented(self, "predict_logits")

    def posterior_mean(self, x: tf.Tensor) -> tf.Tensor:
        """Return the posterior mean of the latent code, (batch, d)."""
        raise _not_implemented(self, "posterior_mean")

    def expected_image(self, x: tf.Tensor) -> tf.Tensor:
        """Return the reconstruction, (batch, *input_shape) in [0, 1]."""
        raise _not_implemented(self, "expected_image")

    def sample_images(self, labels: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Return one expected image per label, (batch, *input_shape) in [0, 1]."""
        raise _not_implemented(self, "sample_images")

    def log_weights(self, x: tf.Tensor, num_samples: int, noise: Noise) -> tf.Tensor:
        """Return log p(x, latents) - log q(latents|x), (batch, num_samples), nats."""
        raise _not_implemented(self, "log_weights")

    @classmethod
    def default_weights(cls) -> dict[str, Weight]:
        """Return the weights that differ from 1 when the user sets none."""
        return {}

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return the paper's weights for a data set with this many labels (at least one)."""
        raise NotImplementedError

    @classmethod
    def paper_regularizers(cls, **arguments) -> list:
        """Return the regularizers of the method's paper, which it has where none are given.

        Args:
            **arguments: of the model, those that are set: a paper's weights may follow them.
        """
        return []

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return weights that do well on such data in a run of this many steps.

        The paper's, where a method does not document others. The command line and
        `SSVAEClassifier` use them where the user sets none.
        """
        return cls.paper_weights(num_labelled, num_unlabelled) if num_labelled else {}

    @classmethod
    def recommended_arguments(cls, num_pixels: int, steps: int) -> dict:
        """Return constructor arguments that depend on the length of a run, such as schedules.

        The command line and `SSVAEClassifier` use them where the user sets none.
        """
        return {}

    # Construction ------------------------------------------------------------------------------

    def finish(self) -> None:
        """Build every part by evaluating the objective once on a tiny batch.

        Raises:
            InputError: a network does not fit the shapes, or returns probabilities instead of
                logits, or a weight names an unknown term.
        """
        check_outputs(self)
        blank = np.zeros((2, *self.example_shape), "float32")
        data = ({"labelled": blank[:1], "unlabelled": blank}, np.zeros(1, "int32"))
        try:
            found = self._objective(self._batch(data, FIXED_STEP)[0], training=False)
        except checks.InputError:
            raise
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise checks.InputError(
                f"the networks of {type(self).__name__} do not fit together for images of shape "
                f"{self.example_shape}, {self.num_classes} classes: {reason(error)}"
            ) from error
        check_logits(found.logits.numpy())
        self._try_augmentation(blank)
        defaults = [part.default_weights() for part in (self, *self.regularizers)]
        self.term_weights = resolve_weights(list(found.values), *defaults, self.weight_settings)
        raw = [name for name, weight in self.term_weights.items() if not is_one(weight)]
        self._monitored = [*found.monitors, *raw]
        self.term_means = NamedMeans(
            list(found.values), [f"monitor/{name}" for name in self._monitored]
        )
        self.built = True

    def _try_augmentation(self, images) -> None:
        if not isinstance(self.augment, Augmentation):
            return
        try:
            self.augment(tf.constant(images), noise=Noise(self.seed, FIXED_STEP))
        except checks.InputError:
            raise
        except (ValueError, IndexError, tf.errors.InvalidArgumentError) as error:
            raise checks.InputError(
                f"augment does not fit examples of shape {self.example_shape}: {reason(error)}"
            ) from error

    def _counter(self, name: str, shape: tuple, dtype: str):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="sum" if shape else "only_first_replica",
        )

    # The one training step ---------------------------------------------------------------------

    @property
    def metrics(self) -> list:
        """The metrics of this model, without those of models that a regularizer owns."""
        foreign = [m for part in self.regularizers for m in part.foreign_metrics]
        return [m for m in super().metrics if not any(m is other for other in foreign)]

    def __call__(self, *args, **kwargs):
        """Return class probabilities, as `call` does; what it cannot take is an `InputError`."""
        with input_errors():
            return super().__call__(*args, **kwargs)

    def call(self, x, training=None):
        """Return class probabilities (batch, K) of images (uint8, or float in [0, 1])."""
        if isinstance(x, dict):  # Keras builds metrics on a training batch under a strategy
            x = x["labelled"] if "labelled" in x else x["unlabelled"]
        return self._probabilities(checked_images(x), bool(training))

    def _probabilities(self, x, training: bool = False):
        images, _ = with_rows(x)
        logits = self.predict_logits(examples(images, self.example_shape), training)
        probabilities = tf.nn.softmax(logits)
        return probabilities if images is x else probabilities[: tf.shape(x)[0]]

    def train_step(self, data):
        """Check a batch (see `batch.make_batch`) and take one optimizer step; return the logs."""
        return self._checked_first(self.take_step, checked_batch(data, self.num_classes))

    def test_step(self, data):
        """Check a batch and evaluate the objective on it; return the logs."""
        return self._checked_first(self._evaluate, checked_batch(data, self.num_classes))

    def predict_step(self, data):
        """Check a batch of images and return their class probabilities."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._checked_first(self._probabilities, checked_images(x))

    def _checked_first(self, step, data):
        """Run what follows the checks of a step; XLA, which drops checks, compiles this alone."""
        if self.jit_compile:
            step = tf.function(step, jit_compile=True, autograph=False, reduce_retracing=True)
        return step(data)

    @contextlib.contextmanager
    def _xla_within(self):
        """Have Keras make functions that leave XLA to `_checked_first`."""
        wanted, self.jit_compile = self.jit_compile, False
        try:
            yield
        finally:
            self.jit_compile = wanted

    def make_train_function(self, force=False):
        """Create what runs `train_step`; as in Keras."""
        with self._xla_within():
            super().make_train_function(force)

    def make_test_function(self, force=False):
        """Create what runs `test_step`; as in Keras."""
        with self._xla_within():
            super().make_test_function(force)

    def make_predict_function(self, force=False):
        """Create what runs `predict_step`; as in Keras."""
        with self._xla_within():
            super().make_predict_function(force)

    def take_step(self, data):
        """Take one optimizer step on a batch that has been checked; return the logs."""
        batch, rows = self._batch(data, self.steps_done)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            terms = self._objective(batch, training=True)
            contributions, raw, counted = self._contributions(terms, batch)
            loss = losses.add_terms(contributions.values())
            share = tf.cast(rows > 0, tf.float32) / replicas
            scaled = self.optimizer.scale_loss(loss * share)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = with_shared_overflow(gradients)
        # Counters depend on no value of the batch, and would go on where a check has failed.
        checked = [part for part in tf.nest.flatten(data) if part is not None]
        with tf.control_dependencies([loss, *checked]):
            self.optimizer.apply(gradients, variables)
            self.steps_done.assign_add(1)
        return self._report(batch, rows, terms.logits, {**contributions, **raw}, counted)

    def _evaluate(self, data):
        """Evaluate the objective on a batch that has been checked; return the logs."""
        batch, rows = self._batch(data, FIXED_STEP)
        terms = self._objective(batch, training=False)
        contributions, raw, counted = self._contributions(terms, batch)
        return self._report(batch, rows, terms.logits, {**contributions, **raw}, counted)

    def _batch(self, data, step) -> tuple[Batch, tf.Tensor]:
        """Return the batch and its number of rows, 0 where a blank row stands in for none."""
        data, present = with_rows(data)
        batch = make_batch(data, self.example_shape, self.num_classes, Noise(self.seed, step))
        rows = tf.shape(batch.images)[0] + tf.shape(batch.unfeatured)[0]
        if present is None:
            return batch, rows
        batch = batch._replace(
            labels=tf.where(present, batch.labels, -1),
            weights=tf.where(present, batch.weights, 0.0),
        )
        return batch, tf.where(present, rows, 0)

    def _objective(self, batch: Batch, training: bool) -> Terms:
        if training and self.class_prior == "labels":
            seen = tf.one_hot(batch.labels, self.num_classes)
            # TensorFlow's own: Keras's assign_add would sum the old counts over replicas too.
            self.class_counts.value.assign_add(tf.reduce_sum(seen, axis=0))
        if training and self.augment is not None and self.AUGMENTS_EVERYTHING:
            batch = batch.changed(self.augment)
        terms = self.terms(batch, training)
        values = dict(terms.values)
        monitors = {**self._bounds(terms), **terms.monitors}
        for regularizer in self.regularizers:
            added = regularizer.terms(self, batch, terms, training)
            taken = sorted(set(added) & set(values))
            if taken:
                raise checks.InputError(f"two parts of the loss are called {', '.join(taken)}")
            values.update(added)
        if self.losses:  # penalties that the user's own layers declare
            values["network_losses"] = tf.reshape(losses.add_terms(self.losses), [1])
        return terms._replace(values=values, monitors=monitors)

    def _bounds(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return the method's bounds before any weight: minus the sum of their parts."""
        bounds = {}
        for part in ("labelled", "unlabelled", "unfeatured"):
            parts = [value for name, value in terms.values.items() if name.startswith(f"{part}_")]
            if parts:
                bounds[f"{part}_bound"] = -losses.add_terms(parts)
        return bounds

    def _contributions(self, terms: Terms, batch: Batch) -> tuple[dict, dict, dict]:
        """Return term -> weight * mean, what is monitored -> mean, and the rows of each mean."""
        iterations = 0 if getattr(self, "optimizer", None) is None else self.optimizer.iterations
        found = {name: mean_and_rows(name, v, batch) for name, v in terms.values.items()}
        contributions = {
            name: weight_at(self.term_weights[name], iterations) * mean
            for name, (mean, _) in found.items()
        }
        counted = {name: rows for name, (_, rows) in found.items()}
        found |= {name: mean_and_rows(name, v, batch) for name, v in terms.monitors.items()}
        counted |= {f"monitor/{name}": found[name][1] for name in self._monitored}
        return contributions, {f"monitor/{n}": found[n][0] for n in self._monitored}, counted

    def _report(self, batch: Batch, rows, logits, logged: dict, counted: dict) -> dict:
        # A blank row counts nowhere.
        self.term_means.update_state(logged, counted, sample_weight=tf.cast(rows > 0, tf.float32))
        probabilities = tf.nn.softmax(logits[: batch.num_labelled])
        return self.compute_metrics(None, batch.labels, probabilities, batch.weights)

    # What a trained model gives ----------------------------------------------------------------

    def encode(self, x, batch_size: int = 500) -> np.ndarray:
        """Return the posterior mean of the latent code: (n, d) float32."""
        return _in_batches(self.encode_batch, self._checked(x), batch_size)

    def reconstruct(self, x, batch_size: int = 500) -> np.ndarray:
        """Return the expected image under the posterior: (n, *input_shape) float32 in [0, 1]."""
        return _in_batches(self.reconstruct_batch, self._checked(x), batch_size)

    def generate(self, labels, seed: int = 0) -> np.ndarray:
        """Return one image per label: (n, *input_shape) float32 in [0, 1].

        Args:
            labels: (n,) classes 0..K-1.
            seed: the same labels and seed give the same images.

        Raises:
            InputError: a label is out of range.
        """
        labels = checks.check_labels(labels, self.num_classes, "labels", allow_unlabelled=False)
        return self.generate_batch(tf.constant(labels), tf.constant(seed, tf.int32)).numpy()

    def log_likelihood(
        self, x, num_samples: int = 5000, seed: int = 0, batch_size: int = 50, verbose: int = 0
    ) -> np.ndarray:
        """Return the importance-weighted bound on log p(x) of each example (Burda et al., 2016).

        One sample estimates the evidence lower bound; the bound rises with the number of samples.
        Memory depends neither on `num_samples` nor on the number of examples.

        Args:
            x: (n, *input_shape) uint8, or float in [0, 1].
            num_samples: importance samples per example.
            seed: of the samples.
            batch_size: examples at a time.
            verbose: 1 shows a progress bar.

        Returns:
            (n,) nats.

        Raises:
            InputError: x is not images of the model's shape, or another argument is no whole
                number, or out of range.
        """
        num_samples = checks.check_positive(num_samples, "num_samples")
        batch_size = checks.check_positive(batch_size, "batch_size")
        seed = checks.check_seed(seed)
        x = self._checked(x)
        return importance.bound(self._log_sum_weights, x, num_samples, seed, batch_size, verbose)

    @tf.function(reduce_retracing=True, autograph=False)
    def encode_batch(self, x):
        """Return `encode` of one batch of images, as a tensor; part of an exported model."""
        return self.posterior_mean(examples(checked_images(x), self.example_shape))

    @tf.function(reduce_retracing=True, autograph=False)
    def reconstruct_batch(self, x):
        """Return `reconstruct` of one batch of images, as a tensor; part of an exported model."""
        return self.expected_image(examples(checked_images(x), self.example_shape))

    @tf.function(reduce_retracing=True, autograph=False)
    def generate_batch(self, labels, seed):
        """Return `generate` of labels (n,) and a scalar seed, as a tensor; exported too."""
        return self.sample_images(labels, Noise(seed, 0))

    @tf.function(reduce_retracing=True, autograph=False)
    def bound_batch(self, x, block: int, num_samples: int):
        """Return the importance-weighted bound of one batch, as a tensor; exported too.

        Args:
            x: (batch, *input_shape) images.
            block: samples of each image at a time.
            num_samples: samples of each image, drawn with seed 0.

        Returns:
            (batch,) nats.
        """
        first = tf.constant(0)
        total = self._log_sum_weights(x, block, tf.constant(num_samples), first, first)
        return total - np.log(num_samples).astype("float32")

    @tf.function(reduce_retracing=True, autograph=False)
    def _log_sum_weights(self, x, block: int, wanted, seed, first_step):
        """Return log sum of `wanted` importance weights, `block` at a time: (batch,)."""
        x = examples(x, self.example_shape)
        return importance.log_sum_weights(
            lambda noise: self.log_weights(x, block, noise),
            tf.shape(x)[0],
            block,
            wanted,
            seed,
            first_step,
        )

    # Keras's own entry points, with input checked before any work ------------------------------

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Configure training; as in Keras, but the loss is the method's own.

        A `training.PartOptimizer` gives parts of the model rates and weight decay of their own.
        Each metric is given labels in the form that it expects, and rows without a label count in
        none (see `metric_labels`): a function or a metric of your own gets labels (n,) int32 and
        probabilities (n, K), and a `sample_weight` of 0 where there is no label.

        Raises:
            InputError: a loss is given, a metric does not fit labels and class probabilities, or a
                setting does not fit the strategy.
        """
        if loss is not None:
            raise checks.InputError(
                f"{type(self).__name__} brings its own loss: leave `loss` out and use `weights` "
                "and `regularizers` of the model to change it"
            )
        strategy = self.distribute_strategy
        strategy_checks.check_scope(self._distribute_strategy)
        with strategy.scope():  # an optimizer that is a name is made here
            optimizer = keras.optimizers.get(optimizer)
        unscaled = getattr(optimizer, "inner_optimizer", optimizer)
        if isinstance(unscaled, PartOptimizer):
            unscaled.bind(self)
        if strategy.num_replicas_in_sync > 1:
            strategy_checks.check_compile_arguments(strategy, optimizer, kwargs)
        given = {name: kwargs.get(name) for name in metric_labels.ARGUMENTS}
        with strategy.scope():
            logged = ["loss", *self.term_means.names]
            for name, metrics in given.items():
                kwargs[name] = metric_labels.prepared(
                    metrics, self.num_classes, logged, weighted=name == "weighted_metrics"
                )
        super().compile(optimizer=optimizer, loss=None, **kwargs)
        self._metrics_as_given = lambda: given  # Keras would track a dict, and log them twice
        self._prepared = False

    def get_compile_config(self) -> dict:
        """Return the arguments of `compile`, the metrics as they were given."""
        config = super().get_compile_config()
        if config:
            config.update(keras.saving.serialize_keras_object(self._metrics_as_given()))
        return config

    def compile_from_config(self, config):
        """Compile a revived model; Keras asks for this where `compile` is overridden."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def prepare(self) -> None:
        """Create the variables of the optimizer and of the compiled metrics, if they do not exist.

        Keras creates them in the first step, which TensorFlow then has to trace twice.
        """
        strategy_checks.check_scope(self._distribute_strategy)
        if self._prepared:
            return
        rows = max(2, self.num_classes)  # a metric may compare rows
        probabilities = tf.fill([rows, self.num_classes], 1.0 / self.num_classes)
        labels, weights = tf.zeros([rows], tf.int32), tf.ones([rows])
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)
            self.distribute_strategy.run(
                self.compute_metrics, args=(None, labels, probabilities, weights)
            )
            self.reset_metrics()
        self._prepared = True

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """Train; as in Keras. Batches of `data.train()` follow the model's own count of steps.

        On a terminal the progress bar shows no more terms than fit into its line; all are shown
        at the end of each epoch.
        """
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # Keras warns when it has no say in the order
        position = getattr(x, "position", None)
        if position is not None:
            strategy_checks.check_shares(self.distribute_strategy, x.rows_per_step)
            self.check_data(x.data)
        callbacks = callbacks or []
        if verbose and not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = with_progress_bar(callbacks)
        if position is not None and kwargs.get("steps_per_epoch"):
            x = x.from_step(int(self.steps_done.numpy()))  # Keras's epochs are not those of x
        elif position is not None:
            follow = keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: position.assign(self.steps_done.value)
            )
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(follow)
            else:
                callbacks = [follow, *tf.nest.flatten(callbacks)]
        x, y, weights = self._checked_arrays(x, y, kwargs.pop("sample_weight", None), training=True)
        check_equal_parts(x)
        if kwargs.get("validation_data") is not None:
            held_out = keras.utils.unpack_x_y_sample_weight(kwargs["validation_data"])
            if not isinstance(kwargs["validation_data"], tf.data.Dataset):
                held_out = self._checked_arrays(*held_out)
            kwargs["validation_data"] = keras.utils.pack_x_y_sample_weight(*held_out)
        class_weight = kwargs.pop("class_weight", None)
        if class_weight is not None:
            x, weights = weighted_by_class(x, y, weights, class_weight, self.num_classes)
        if self.compiled:
            self.prepare()
        kwargs["sample_weight"] = weights
        with input_errors():
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Create what Keras would create from its first batch under a strategy.

        Keras takes the mean of that batch over the replicas, which fails where one has a row less.
        """
        if self.compiled:
            self.prepare()

    def check_data(self, data) -> None:
        """Refuse a `tfssvae.data.Data` whose examples or labels are not those of the model.

        Raises:
            InputError: naming the shape, the range or the label.
        """
        if isinstance(data.x_train, np.ndarray):  # what stays in files is checked as it is read
            checks.check_images(data.x_train, "x_train")
        if tuple(data.input_shape) != self.example_shape:
            raise checks.InputError(
                f'the examples of "{data.name}" have shape {tuple(data.input_shape)}, and the '
                f"model is made for {self.example_shape}: pass input_shape=data.input_shape"
            )
        known = data.num_classes if data.unfeatured is not None else data.y_train.max() + 1
        if known > self.num_classes:
            raise checks.InputError(
                f'"{data.name}" has labels of {data.num_classes} classes, and the model is made '
                f"for {self.num_classes}: pass num_classes=data.num_classes"
            )

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs
    ):
        """Evaluate the objective and the compiled metrics; as in Keras."""
        x, y, weights = self._checked_arrays(x, y, sample_weight)
        check_equal_parts(x)
        with input_errors():
            return super().evaluate(x, y, batch_size, verbose, weights, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Return class probabilities (n, K) of images; as in Keras."""
        x, _, _ = self._checked_arrays(x)
        with input_errors():
            return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, **kwargs):
        """Take one step on one batch; as in Keras."""
        x, y, weights = self._checked_arrays(x, y, sample_weight)
        if class_weight is not None:
            x, weights = weighted_by_class(x, y, weights, class_weight, self.num_classes)
        with input_errors():
            return super().train_on_batch(x, y, weights, **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """Evaluate one batch; as in Keras."""
        batch = self._checked_arrays(x, y, sample_weight)
        with input_errors():
            return super().test_on_batch(*batch, **kwargs)

    def predict_on_batch(self, x):
        """Return class probabilities of one batch; as in Keras."""
        x, _, _ = self._checked_arrays(x)
        with input_errors():
            return super().predict_on_batch(x)

    def _checked(self, x) -> np.ndarray:
        return checks.check_images(x, shape=self.example_shape)

    def _checked_arrays(self, x, y=None, sample_weight=None, training=False):
        shape = self.example_shape
        return checked_arrays(x, y, sample_weight, shape, self.num_classes, training)

    # Class prior -------------------------------------------------------------------------------

    def log_class_prior(self) -> tf.Tensor:
        """Return log p(y), (K,) float32."""
        if self.class_prior is None:
            return tf.fill([self.num_classes], -tf.math.log(float(self.num_classes)))
        if self.class_prior == "labels":
            counts = tf.convert_to_tensor(self.class_counts) + 1.0
            return tf.math.log(counts) - tf.math.log(tf.reduce_sum(counts))
        return tf.math.log(tf.constant(self.class_prior, tf.float32))

    # Saving ------------------------------------------------------------------------------------

    def save(self, filepath, *args, **kwargs):
        """Save the model with its optimizer to one `.keras` file; as in Keras.

        Raises:
            InputError: the old HDF5 format is asked for.
        """
        if str(filepath).endswith((".h5", ".hdf5")):  # Keras's writer fails with a riddle
            raise checks.InputError(
                f"{filepath}: a model with parts of its own does not fit into HDF5: save it as "
                ".keras, or its weights alone with save_weights as .weights.h5"
            )
        super().save(filepath, *args, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """Refuse Keras's export, which knows the class probabilities alone, and of floats.

        Raises:
            InputError: always; `tfssvae.serving.export` is how a model is exported.
        """
        raise checks.InputError(
            f"write tfssvae.serving.export(model, {str(filepath)!r}) instead of model.export: its "
            "SavedModel has a named signature for each thing that the model does, and takes uint8"
        )

    def get_config(self) -> dict:
        """Return every constructor argument; networks and other parts as their own configs."""
        config = super().get_config()
        for name in constructor_arguments(type(self)):
            value = getattr(self, _ATTRIBUTES.get(name, name))
            config[name] = keras.saving.serialize_keras_object(value)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Revive a model, its parts included, from `get_config`."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
                for name, value in config.items()
            }
        )


_ATTRIBUTES = {"input_shape": "example_shape", "weights": "weight_settings"}  # Keras owns the names


def _not_implemented(model: SemiSupervisedVAE, name: str) -> NotImplementedError:
    return NotImplementedError(
        f"{type(model).__name__} has no {name} of its own: SemiSupervisedVAE.{name} says what a "
        "method returns there"
    )


def constructor_arguments(cls: type) -> list[str]:
    """Return the arguments of a method's constructor and of the base's, `**kwargs` aside."""
    found: dict[str, None] = {}
    for owner in (SemiSupervisedVAE, cls):
        for name, parameter in inspect.signature(owner).parameters.items():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                found[name] = None
    return list(found)


def _in_batches(function, x: np.ndarray, batch_size: int) -> np.ndarray:
    starts = range(0, len(x), batch_size)
    return np.concatenate([function(tf.constant(x[i : i + batch_size])).numpy() for i in starts])
