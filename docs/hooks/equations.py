"""Equations as MathML, which browsers draw themselves: no script, no font from a network."""

import html
import re

from latex2mathml.converter import convert

EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
UPRIGHT = re.compile(r'(?:<mi mathvariant="normal">\w</mi>){2,}')


def on_page_content(content: str, **_) -> str:
    """Turn the LaTeX of a page."""
    return EQUATION.sub(_math, content)


def _math(found: re.Match) -> str:
    tag, bracket, latex = found.groups()
    display = "block" if bracket == "[" else "inline"
    math = convert(html.unescape(latex).strip(), display=display)
    return f'<{tag} class="equation">{_spaced(math)}</{tag}>'


def _spaced(math: str) -> str:
    """Set relations, functions and names of several letters as TeX does."""
    math = math.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
    math = re.sub(r"(<mi>[a-z]{2,}</mi>)(?=<m[is])", r'\1<mspace width="0.167em" />', math)
    return UPRIGHT.sub(lambda run: f"<mi>{''.join(re.findall('>(.)<', run[0]))}</mi>", math)
