"""Examples in docstrings as blocks of code, also where no heading announces them."""

import re

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n\1\S.*)*", re.MULTILINE)


class FencedDoctests(griffe.Extension):
    """Fence every doctest: Markdown would take `>>>` for a quotation."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Change the docstring of an object before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(found: re.Match) -> str:
    indent = found[1]
    return f"{indent}```pycon\n{found[0]}\n{indent}```"
