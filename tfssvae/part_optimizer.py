"""Rates, schedules and weight decay per part of a model: an optimizer for each."""

import copy
from collections.abc import Mapping

import keras
import tensorflow as tf

from tfssvae.checks import InputError, closest


@keras.saving.register_keras_serializable("tfssvae")
class PartOptimizer(keras.optimizers.Optimizer):
    """Several optimizers in the place of one, each of the variables of some part of the model.

    What Keras gives an optimizer each part then has for itself: rate or schedule, decoupled weight
    decay, clipping, moving averages. Parts are what the model calls its networks and layers.

    Callbacks that read or set `learning_rate` see the default optimizer's. In half precision the
    loss scale is around the whole, as Keras puts it.

    Args:
        default: optimizer of every variable that no part has.
        parts: name of a part, such as "classifier" or "encoder" -> its optimizer.

    Raises:
        InputError: an optimizer is there twice, or scales the loss; in `model.compile`, the model
            has no such part, or two parts share a variable.

    >>> adam = keras.optimizers.Adam
    >>> optimizer = PartOptimizer(adam(3e-3), {"classifier": adam(1e-3, weight_decay=5e-4)})
    >>> optimizer.of("classifier").weight_decay, optimizer.of("decoder").weight_decay
    (0.0005, None)
    """

    def __init__(self, default, parts: Mapping[str, keras.optimizers.Optimizer], name=None):
        super().__init__(learning_rate=0.0, name=name)
        self.default = keras.optimizers.get(default)
        self.parts = {part: keras.optimizers.get(found) for part, found in parts.items()}
        self._part_of: dict[str, str] | None = None
        optimizers = self._optimizers()
        if len({id(optimizer) for optimizer in optimizers}) < len(optimizers):
            raise InputError("every part needs an optimizer object of its own, got one for several")
        for optimizer in optimizers:
            scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
            if scales or optimizer.loss_scale_factor is not None:
                raise InputError("scale the loss around the PartOptimizer, not in one of its parts")
        steps = {optimizer.gradient_accumulation_steps for optimizer in optimizers}
        if len(steps) > 1:
            raise InputError(
                "every part adds up the gradients of as many steps: give each optimizer the same "
                f"gradient_accumulation_steps, got {sorted(steps, key=str)}"
            )

    def of(self, part: str) -> keras.optimizers.Optimizer:
        """Return the optimizer of a part."""
        return self.parts.get(part, self.default)

    def bind(self, model: keras.Model) -> None:
        """Find the variables of every part; `model.compile` calls it.

        Raises:
            InputError: the model has no such part, or two parts share a variable.
        """
        known = [name for name in vars(model) if name[0] != "_" and _variables(model, name)]
        found: dict[str, str] = {}
        for part in self.parts:
            variables = _variables(model, part)
            if not variables:
                raise InputError(
                    f"{type(model).__name__} has no part {part!r} to train: {closest(part, known)}"
                )
            for key in map(self._var_key, variables):
                if key in found:
                    raise InputError(f"the parts {found[key]!r} and {part!r} share a variable")
                found[key] = part
        self._part_of = found

    def _optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [self.default, *self.parts.values()]

    def _split(self, variables, *others):
        """Return (optimizer, its variables, the rows of others that belong to them) of each."""
        if self._part_of is None:
            raise InputError("a PartOptimizer needs a method of tfssvae: pass it to model.compile")
        found = []
        for part, optimizer in (("", self.default), *self.parts.items()):
            rows = [
                row
                for row, variable in enumerate(variables)
                if self._part_of.get(self._var_key(variable), "") == part
            ]
            if rows:
                found.append(
                    (optimizer, *([of[row] for row in rows] for of in (variables, *others)))
                )
        return found

    # What Keras asks of an optimizer -------------------------------------------------------------

    def build(self, variables):
        if self.built:
            return
        for optimizer, of_part in self._split(variables):
            optimizer.build(of_part)
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        variables = (
            self._trainable_variables if trainable_variables is None else trainable_variables
        )
        self.build(variables)
        for optimizer, of_part, gradients in self._split(variables, grads):
            if any(gradient is not None for gradient in gradients):
                optimizer.apply(gradients, of_part)
        self._iterations.assign_add(1)

    @property
    def iterations(self):
        steps = accumulation_steps(self)
        return self._iterations // steps if steps else self._iterations

    def finalize_variable_values(self, var_list):
        for optimizer, of_part in self._split(var_list):
            optimizer.finalize_variable_values(of_part)

    @property
    def variables(self):
        own = super().variables
        return own + [value for optimizer in self._optimizers() for value in optimizer.variables]

    @property
    def learning_rate(self):
        return self.default.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.default.learning_rate = value

    def save_own_variables(self, store):
        # Keras goes on to `default` and `parts`, which save what is theirs.
        store["iterations"] = self._iterations.numpy()

    def load_own_variables(self, store):
        self._iterations.assign(store["iterations"])

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "default": serialize(self.default),
            "parts": {part: serialize(optimizer) for part, optimizer in self.parts.items()},
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        def revive(value):
            value = copy.deepcopy(value)  # Keras revives the rate in place
            return keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)

        parts = {part: revive(value) for part, value in config["parts"].items()}
        return cls(revive(config["default"]), parts, config["name"])


def accumulation_steps(optimizer: keras.optimizers.Optimizer) -> int | None:
    """Return of how many steps an optimizer adds up the gradients; None: of one."""
    if isinstance(optimizer, PartOptimizer):
        optimizer = optimizer.default
    return optimizer.gradient_accumulation_steps


def _variables(model: keras.Model, part: str) -> list:
    """Return the variables of an attribute, a layer or a list of layers, frozen or not."""
    found = tf.nest.flatten(getattr(model, part, None))
    layers = [value for value in found if isinstance(value, keras.layers.Layer)]
    return [variable for layer in layers for variable in layer.variables]
