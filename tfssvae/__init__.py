"""Semi-supervised variational autoencoders on TensorFlow, Keras 3 and TensorFlow Probability.

Everything is imported when it is first used: `import tfssvae` does not import TensorFlow unless
Keras has been imported before it. `keras.saving.load_model` needs our classes: import Keras first,
or call `tfssvae.models.register()`.
"""

import sys
from importlib import import_module

__version__ = "0.1.0"

_MODULES = (
    "checks",
    "data",
    "evaluation",
    "layers",
    "losses",
    "models",
    "networks",
    "regularizers",
    "serving",
    "training",
)
_NAMES = {
    "METHODS": "tfssvae.models",
    "DivergenceError": "tfssvae.checks",
    "InputError": "tfssvae.checks",
    "SSVAEClassifier": "tfssvae.classifier",
    "SemiSupervisedVAE": "tfssvae.core",
    "labelled_scorer": "tfssvae.scoring",
}

__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(f"tfssvae.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'tfssvae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


if "keras" in sys.modules:
    # `import keras, tfssvae; keras.saving.load_model(...)` has to find our classes, and where
    # Keras is loaded already there is no start-up time left to save.
    import_module("tfssvae.models").register()
