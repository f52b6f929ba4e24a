"""What the tests of folders of images share."""

import logging

import numpy as np
from PIL import Image

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)


def write(path, pixels=GREY, mode=None, **options):
    """Save an array or an image of Pillow, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


def said(caplog) -> str:
    """Return what the library has warned of so far, and forget it."""
    found = "\n".join(record.getMessage() for record in caplog.records)
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert all(record.name == "tfssvae" for record in caplog.records)
    caplog.clear()
    return found
