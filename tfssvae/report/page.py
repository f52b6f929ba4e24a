"""One HTML page that needs nothing else: pictures are inside it, and text is escaped."""

import base64
import io
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageStat

import tfssvae
from tfssvae.checks import InputError
from tfssvae.evaluation.style import theme
from tfssvae.report.stylesheet import STYLESHEET

_PIXELS_PER_INCH = 100  # at which figures are laid out
_SHARPNESS = 2  # pixels of the file per pixel of the page, for fine screens and paper
_LEAST_SCALE = 0.45  # a picture that would have to be smaller is scrolled
_MOST_COLOURS = 256  # of a picture with a palette
_UNSEEN = 1.0  # levels of 255 by which a palette may change a pixel on average


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


class Code(NamedTuple):
    """A text to be copied, such as a command."""

    text: str


class Shown(NamedTuple):
    """An image of a gallery: its pixels (h, w, 1 or 3) in 0..1, and two lines below it."""

    pixels: NDArray[np.float32]
    first: str
    second: str


class Gallery(NamedTuple):
    """Images beside each other, as many in a row as there is room for.

    Attributes:
        images: what is shown.
        caption: above them, where a section has several galleries.
    """

    images: Sequence[Shown]
    caption: str = ""


class Section(NamedTuple):
    """A heading, a sentence that says what the section means, and what is shown.

    Attributes:
        title: the heading.
        meaning: one sentence or two: what to look for, and what good looks like.
        parts: tables, texts to copy and galleries in their order, then pictures.
        wide: whether it takes the whole width of a wide page.
        small: whether the pictures are many small ones, laid out in columns.
        chapter: heading of the sections that follow each other with the same chapter.
    """

    title: str
    meaning: str
    parts: Sequence[Table | Code | Gallery | Picture]
    wide: bool = False
    small: bool = False
    chapter: str = ""


class Fact(NamedTuple):
    """A figure at the top of a page: what it is, its value, and a remark."""

    name: str
    value: str
    aside: str = ""


class Head(NamedTuple):
    """The top of a page.

    Attributes:
        title: of the page.
        lead: paragraphs below it.
        notes: what a reader must know first, such as that a run is not finished.
        facts: the most important figures.
    """

    title: str
    lead: Sequence[str] = ()
    notes: Sequence[str] = ()
    facts: Sequence[Fact] = ()


def page_html(head: Head, sections: Iterable[Section]) -> str:
    """Return a page as HTML.

    It makes no request, is dark where the reader's system is, fits 400 px and wider, and prints.

    Args:
        head: its top.
        sections: in order; each is drawn before the next is asked for.
    """
    links, body = [], []
    for chapter, group in itertools.groupby(sections, lambda section: section.chapter):
        items, articles = [], []
        for section in group:
            slug = _slug(section.title)
            items.append(f'<li><a href="#{slug}">{escape(section.title)}</a></li>')
            articles.append(_article(slug, section))
        slug = f"chapter-{_slug(chapter)}"
        links.append(f'<li><a href="#{slug}">{escape(chapter)}</a><ol>{" ".join(items)}</ol></li>')
        body.append(
            f'<section id="{slug}"><h2>{escape(chapter)}</h2>'
            f'<div class="grid">{"".join(articles)}</div></section>'
        )
    return _PAGE.format(
        title=escape(head.title),
        style=STYLESHEET,
        head=_head(head),
        links="".join(links),
        body="\n".join(body),
        version=escape(tfssvae.__version__),
    )


def _head(head: Head) -> str:
    lead = "".join(f'<p class="lead">{escape(text)}</p>' for text in head.lead)
    notes = "".join(f'<p class="note" role="note">{escape(text)}</p>' for text in head.notes)
    facts = "".join(
        f'<div><dt>{escape(fact.name)}</dt><dd class="value">{escape(fact.value)}</dd>'
        + (f'<dd class="aside">{escape(fact.aside)}</dd>' if fact.aside else "")
        + "</div>"
        for fact in head.facts
    )
    return f"{lead}{notes}" + (f'<dl class="facts">{facts}</dl>' if facts else "")


def _article(slug: str, section: Section) -> str:
    texts = "".join(_text(part) for part in section.parts if not isinstance(part, Picture))
    pictures = "".join(_picture(part) for part in section.parts if isinstance(part, Picture))
    if pictures:
        pictures = f'<div class="{"panels" if section.small else "pictures"}">{pictures}</div>'
    return (
        f'<article id="{slug}"{" class=wide" if section.wide else ""}>'
        f'<h3>{escape(section.title)}</h3><p class="meaning">{escape(section.meaning)}</p>'
        f"{texts}{pictures}</article>"
    )


def _text(part: Table | Code | Gallery) -> str:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Gallery):
        return _gallery(part)
    return f"<pre>{escape(part.text)}</pre>"


def _gallery(gallery: Gallery) -> str:
    caption = f'<p class="caption">{escape(gallery.caption)}</p>' if gallery.caption else ""
    items = "".join(
        f'<li><img src="{_pixels_uri(image.pixels)}" alt="{escape(image.first)}, '
        f'{escape(image.second)}"><span>{escape(image.first)}</span>'
        f"<strong>{escape(image.second)}</strong></li>"
        for image in gallery.images
    )
    return f'{caption}<ul class="gallery">{items}</ul>'


def _pixels_uri(pixels: NDArray[np.float32]) -> str:
    """Return an image pixel for pixel: the browser enlarges it."""
    values = np.round(np.broadcast_to(pixels, (*pixels.shape[:2], 3)) * 255)
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(file, format="png", optimize=True)
    return _uri(file.getvalue())


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in table.head
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(table.head) else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(value)}</td>" for value in row[1:])
        + "</tr>"
        for row in table.rows
    )
    kind = ' class="numbers"' if table.numbers else ""
    return f'<div class="scroll"><table{kind}>{head}<tbody>{rows}</tbody></table></div>'


def _picture(picture: Picture) -> str:
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    try:
        light, width, height = _drawn(picture.draw, dark=False)
        dark, _, _ = _drawn(picture.draw, dark=True)
    except InputError as error:  # such as pixels that are not numbers: the others are worth seeing
        return f'<p class="note">{escape(picture.alt)}: cannot be drawn. {escape(str(error))}</p>'
    least = round(_LEAST_SCALE * width)
    return (
        f'<figure>{caption}<div class="scroll"><picture>'
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" width="{width}" height="{height}" style="--least:{least}px" '
        f'alt="{escape(picture.alt)}"></picture></div></figure>'
    )


def _drawn(draw: Callable[[], Figure], dark: bool) -> tuple[str, int, int]:
    """Return a figure as a data URI, and its width and height on the page, in pixels."""
    with theme(dark):
        figure = draw()
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=_SHARPNESS * _PIXELS_PER_INCH)
    width, height = (round(inches * _PIXELS_PER_INCH) for inches in figure.get_size_inches())
    return _uri(_compressed(pixels)), width, height


def _compressed(picture: io.BytesIO) -> bytes:
    """Return a picture in fewer bytes: without alpha, and with a palette if nobody sees it.

    Few colours are kept as they are; the many shades of smooth edges and overlapping dots become
    256 where that changes a pixel by less than one level of brightness on average.
    """
    image = Image.open(picture).convert("RGB")
    if image.getcolors(_MOST_COLOURS) is not None:
        image = _with_palette(np.asarray(image))
    else:
        nearest = image.quantize(_MOST_COLOURS, dither=Image.Dither.NONE)
        change = ImageChops.difference(image, nearest.convert("RGB"))
        if max(ImageStat.Stat(change).mean) < _UNSEEN:
            image = nearest
    file = io.BytesIO()
    image.save(file, format="png", optimize=True)
    return file.getvalue()


def _with_palette(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return an image (h, w, 3) of at most 256 colours as one byte a pixel, and a palette."""
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, index = np.unique(packed, return_inverse=True)
    image = Image.fromarray(index.reshape(packed.shape).astype(np.uint8), mode="P")
    parts = colours[:, None] >> np.array([16, 8, 0], np.uint32) & 0xFF
    image.putpalette(parts.astype(np.uint8).tobytes())
    return image


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
<header><h1>{title}</h1>{head}</header>
<div class="columns">
<nav aria-label="Contents"><ol>{links}</ol></nav>
<main>
{body}
<footer>Written by tfssvae {version}.</footer>
</main>
</div>
</body>
</html>
"""
