"""Pictures of a report: in light and dark, small, and with the colours that were drawn."""

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.cli.run_folders import Page
from tfssvae.checks import InputError
from tfssvae.report import page
from tfssvae.report.page import (
    Code,
    Fact,
    Gallery,
    Head,
    Picture,
    Section,
    Shown,
    Table,
    page_html,
)


def draw():
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "text")
    return figure


def test_the_page_in_light_and_dark():
    table = Table(("", "<one>"), [("<a> & b", "<1>")])
    grey = Shown(np.array([[[0.0], [1.0]]], "float32"), "is <cat>", "said 'dog'")
    parts = [table, Code("rm <x>"), Gallery([grey]), Picture(draw, 'alt "quoted"')]
    section = Section("A <title>", "Meaning & more.", parts, chapter="C & d")
    head = Head("T", ["lead <p>"], ["note <n>"], [Fact("f <f>", "1 < 2", "a & b")])
    page = Page(page_html(head, [section]))
    assert page.cells == [["", "<one>"], ["<a> & b", "<1>"]]
    for text in ("Meaning &amp; more.", "lead &lt;p&gt;", "note &lt;n&gt;", "rm &lt;x&gt;"):
        assert text in page.text
    for text in ("f &lt;f&gt;", "1 &lt; 2", "a &amp; b", "C &amp; d", "is &lt;cat&gt;"):
        assert text in page.text
    assert page.headings == ["T", "A <title>"]
    (small, image), (source,) = page.having("img"), page.having("source")
    assert small["alt"] == "is <cat>, said 'dog'"
    assert np.asarray(opened(small["src"])).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert image["alt"] == 'alt "quoted"'
    assert source["media"] == "screen and (prefers-color-scheme: dark)"
    for uri, bright in ((image["src"], True), (source["srcset"], False)):
        pixels = opened(uri).convert("L")
        values = np.asarray(pixels, float)
        assert pixels.size == (2 * int(image["width"]), 2 * int(image["height"]))
        assert (values[0, 0] > 200) == bright  # the ground
        assert np.abs(values - values[0, 0]).max() > 150  # the text stands out from it


def test_a_picture_that_cannot_be_drawn_is_named():
    def refuse():
        raise InputError("pixels <are> no numbers")

    text = page_html(Head("T"), [Section("A", "B", [Picture(refuse, "Curve"), Picture(draw, "C")])])
    assert "Curve: cannot be drawn. pixels &lt;are&gt; no numbers" in text
    assert len(Page(text).having("img")) == 1


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def compressed(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).convert("RGBA").save(file, format="png")
    found = Image.open(io.BytesIO(page._compressed(file)))
    return found.mode, np.asarray(found.convert("RGB"))


@pytest.mark.parametrize("colours", [2, 256])
def test_a_picture_of_few_colours_keeps_them(colours):
    numbers = np.arange(4096).reshape(64, 64) % colours
    expected = np.stack([numbers, 255 - numbers, 7 * numbers % 256], axis=-1)
    mode, found = compressed(expected)
    assert mode == "P"
    np.testing.assert_array_equal(found, expected)


def test_a_photograph_keeps_its_colours_and_smooth_edges_are_hardly_changed():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    mode, found = compressed(noise)
    assert mode == "RGB"
    np.testing.assert_array_equal(found, noise)
    shades = np.full((64, 64, 3), 255)
    shades[:8] = np.linspace(0, 255, 8 * 64 * 3).reshape(8, 64, 3)
    mode, found = compressed(shades)
    assert mode == "P"
    assert np.abs(found - shades.astype(float)).mean() < 1
    np.testing.assert_array_equal(found[10:], 255)
