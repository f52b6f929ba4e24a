"""Equations as MathML, which browsers draw themselves: no script, no font from a network."""

import html
import re

from latex2mathml.converter import convert

EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_) -> str:
    """Turn the LaTeX of a page."""
    return EQUATION.sub(_math, content)


def _math(found: re.Match) -> str:
    tag, bracket, latex = found.groups()
    display = "block" if bracket == "[" else "inline"
    math = convert(html.unescape(latex).strip(), display=display)
    return f'<{tag} class="equation">{math}</{tag}>'
