"""One file per method. METHODS is the registry: a new method is one file and one line here."""

from collections.abc import Iterator, Mapping
from importlib import import_module

_CLASSES = {
    "vae": "tfssvae.models.vae:VAE",
    "m1": "tfssvae.models.m1:M1",
    "m2": "tfssvae.models.m2:M2",
    "m1m2": "tfssvae.models.m1m2:M1M2",
    "adgm": "tfssvae.models.adgm:ADGM",
    "sdgm": "tfssvae.models.adgm:SDGM",
    "lvae": "tfssvae.models.lvae:LVAE",
}


class _Registry(Mapping):
    """Name -> class of every method; a class is imported when it is looked up."""

    def __getitem__(self, name: str) -> type:
        module, _, attribute = _CLASSES[name].partition(":")
        return getattr(import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)

    def __repr__(self) -> str:
        return f"METHODS({', '.join(_CLASSES)})"


METHODS: Mapping[str, type] = _Registry()


def register() -> None:
    """Import whatever a saved model may hold, so that `keras.saving.load_model` finds it."""
    for path in _CLASSES.values():
        import_module(path.partition(":")[0])
    for module in ("tfssvae.models.supervised", "tfssvae.schedules", "tfssvae.regularizers"):
        import_module(module)


def __getattr__(name: str):
    for path in _CLASSES.values():
        module, _, attribute = path.partition(":")
        if attribute == name:
            return getattr(import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
