"""The API pages: `<!-- public names of PACKAGE -->` becomes an entry for each name it exports.

Packages import their names when they are used, which a reader of sources cannot follow: hence each
name is looked up, and described where it is defined.
"""

import inspect
import os
import re
from importlib import import_module

from tfssvae.registry import Registry

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PLACEHOLDER = re.compile(r"<!-- public names of (\S+) -->")


def on_page_markdown(markdown: str, **_) -> str:
    """Fill the placeholders of an API page."""
    return PLACEHOLDER.sub(lambda found: _entries(found[1]), markdown)


def _entries(package_name: str) -> str:
    package = import_module(package_name)
    described = (name for name in package.__all__ if not inspect.ismodule(getattr(package, name)))
    return "\n".join(_entry(package, name) for name in sorted(described, key=str.lower))


def _entry(package, name: str) -> str:
    """Return the heading, with the name by which a user imports it, and the docstring."""
    value = getattr(package, name)
    public = f"{package.__name__}.{name}"
    if isinstance(value, Registry):
        return f"## `{name}` {{ #{public} }}\n\n{_names(value)}\n"
    path = f"{value.__module__}.{name}"
    alias = "" if path == public else f"[](){{ #{public} }}\n\n"
    return f"{alias}::: {path}\n    options:\n      heading: {name}\n      heading_level: 2\n"


def _names(registry: Registry) -> str:
    """Return a list of the names of a registry and the classes that they stand for."""
    modules = (value.__module__ for value in registry.values())
    classes = zip(registry, modules, registry.class_names(), strict=True)
    lines = [f'- `"{name}"`: [`{cls}`][{module}.{cls}]' for name, module, cls in classes]
    return "A mapping of names, as on the command line, to classes:\n\n" + "\n".join(lines)
