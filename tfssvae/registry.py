"""Names of classes that are imported when they are looked up."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any


class Registry(Mapping):
    """Name -> class; the help of the command line lists names without importing TensorFlow.

    Args:
        title: what `repr` calls it.
        paths: name -> "module:Class".
    """

    def __init__(self, title: str, paths: Mapping[str, str]):
        self._title, self._paths = title, dict(paths)

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self._paths[name].partition(":")
        return getattr(import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"{self._title}({', '.join(self._paths)})"

    def class_names(self) -> list[str]:
        """Return what the classes are called, without importing them."""
        return [path.partition(":")[2] for path in self._paths.values()]

    def import_all(self) -> None:
        """Import every class, which registers it with Keras."""
        for name in self:
            self[name]

    def attribute(self, attribute: str) -> type:
        """Return the class of that name, for a module's `__getattr__`.

        Raises:
            AttributeError: no entry is called so.
        """
        for name, path in self._paths.items():
            if path.partition(":")[2] == attribute:
                return self[name]
        known = ", ".join(self.class_names())
        raise AttributeError(f"{self._title} has no class {attribute!r}: known: {known}")
