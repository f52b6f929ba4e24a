"""One HTML page that needs nothing else: pictures are inside it, and text is escaped."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from matplotlib.figure import Figure

from tfssvae.evaluation.style import theme

_PIXELS_PER_INCH = 100  # at which figures are laid out
_SHARPNESS = 2  # pixels of the file per pixel of the page, for fine screens and paper
_LEAST_SCALE = 0.45  # a picture that would have to be smaller is scrolled


class Picture(NamedTuple):
    """A figure of a page.

    Attributes:
        draw: returns the figure; it is called once in light colours and once in dark ones.
        alt: what it shows, for those who do not see it.
        caption: above it, where a section has several.
    """

    draw: Callable[[], Figure]
    alt: str
    caption: str = ""


class Table(NamedTuple):
    """A table of a page: the first column names the rows.

    Attributes:
        head: one name per column.
        rows: one text per column.
        numbers: whether the columns after the first hold numbers.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = False


class Section(NamedTuple):
    """A heading, a sentence that says what the section means, and what is shown.

    Attributes:
        title: the heading.
        meaning: the sentence.
        parts: tables and pictures.
        wide: whether it takes the whole width of a wide page.
        small: whether the pictures are many small ones, laid out in columns.
    """

    title: str
    meaning: str
    parts: Sequence[Table | Picture]
    wide: bool = False
    small: bool = False


def page_html(title: str, lead: Sequence[str], sections: Iterable[Section]) -> str:
    """Return a page as HTML.

    It makes no request, is dark where the reader's system is, fits 400 px and wider, and prints.

    Args:
        title: of the page.
        lead: paragraphs below the title.
        sections: in order; each is drawn before the next is asked for.
    """
    links, body = [], []
    for section in sections:
        slug = _slug(section.title)
        links.append(f'<a href="#{slug}">{escape(section.title)}</a>')
        body.append(_section(slug, section))
    return _PAGE.format(
        title=escape(title),
        style=_STYLE,
        paragraphs="".join(f"<p>{escape(text)}</p>" for text in lead),
        links=" ".join(links),
        body="\n".join(body),
    )


def _section(slug: str, section: Section) -> str:
    tables = "".join(_table(part) for part in section.parts if isinstance(part, Table))
    pictures = "".join(_picture(part) for part in section.parts if isinstance(part, Picture))
    if pictures:
        pictures = f'<div class="{"panels" if section.small else "pictures"}">{pictures}</div>'
    return (
        f'<section id="{slug}"{" class=wide" if section.wide else ""}>'
        f"<h2>{escape(section.title)}</h2><p>{escape(section.meaning)}</p>"
        f"{tables}{pictures}</section>"
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(value)}</td>" for value in row[1:])
        + "</tr>"
        for row in table.rows
    )
    kind = ' class="numbers"' if table.numbers else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    (light, width, height), (dark, _, _) = (_drawn(picture.draw, dark) for dark in (False, True))
    least = round(_LEAST_SCALE * width)
    return (
        f'<figure>{caption}<div class="scroll"><picture>'
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" width="{width}" height="{height}" style="--least:{least}px" '
        f'alt="{escape(picture.alt)}"></picture></div></figure>'
    )


def _drawn(draw: Callable[[], Figure], dark: bool) -> tuple[str, int, int]:
    """Return a figure as a data URI, and its width and height on the page, in pixels."""
    file = io.BytesIO()
    with theme(dark):
        figure = draw()
        figure.savefig(file, format="png", dpi=_SHARPNESS * _PIXELS_PER_INCH)
    width, height = (round(inches * _PIXELS_PER_INCH) for inches in figure.get_size_inches())
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/png;base64,{data}", width, height


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1>{paragraphs}<nav>{links}</nav></header>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #fff; --ink: #1c2128; --soft: #57606a; --line: #d8dee4;
  --link: #0b5cad;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #0d1117; --card: #161b22; --ink: #d7dde4; --soft: #9aa4af; --line: #30363d;
    --link: #6cb6ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1560px; padding: clamp(0.75rem, 2vw, 2rem);
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { margin: 0 0 0.5rem; font-size: clamp(1.4rem, 4vw, 2rem); line-height: 1.2; }
h2 { margin: 0 0 0.25rem; font-size: 1.15rem; }
h1, h2, p, th, td { overflow-wrap: anywhere; }
p { margin: 0 0 0.75rem; max-width: 95ch; }
section > p, figcaption { color: var(--soft); font-size: 0.95rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin-bottom: 1rem; }
a { color: var(--link); }
main {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 36rem), 1fr));
}
section {
  min-width: 0; padding: clamp(0.75rem, 2vw, 1.25rem);
  background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem;
}
.wide { grid-column: 1 / -1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid var(--line); }
tbody th { font-weight: normal; color: var(--soft); min-width: 7rem; }
.numbers th:not(:first-child), .numbers td {
  text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal;
}
.numbers td { white-space: nowrap; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.panels {
  display: grid; gap: 0.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
}
figure { margin: 0; min-width: 0; max-width: 100%; }
figcaption { font-weight: 600; }
img { display: block; max-width: 100%; min-width: var(--least); height: auto; }
.panels img { width: 100%; min-width: 0; }
@media print {
  :root { color-scheme: light; --ground: #fff; --card: #fff; }
  body { padding: 0; font-size: 9pt; }
  nav { display: none; }
  main { grid-template-columns: 1fr 1fr; }
  section { border: 0; padding: 0; break-inside: avoid; }
  section:has(.panels) { break-inside: auto; }
  figure, tr { break-inside: avoid; }
  h2, section > p, figcaption { break-after: avoid; break-inside: avoid; }
  .scroll { overflow: visible; }
  .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8cm, 1fr)); }
  .panels { grid-template-columns: repeat(3, 1fr); }
  img { min-width: 0; max-height: 20cm; object-fit: contain; object-position: left top; }
}
"""
