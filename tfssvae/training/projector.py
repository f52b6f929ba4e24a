"""Files for TensorBoard's projector: codes, what is known about each, thumbnails."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfssvae.evaluation.images import as_pictures

_LARGEST_THUMBNAIL = 64  # pixels: 2000 of them stay below the 8192 that browsers can draw


def write_projector(
    folder: str,
    name: str,
    codes: NDArray[np.float32],
    columns: Mapping[str, Sequence[str]],
    examples: NDArray,
) -> None:
    """Write codes for the projector into the folder of a TensorBoard run.

    The configuration is written last: a projector that finds it finds everything it names.

    Args:
        folder: of the run, local or gs://; it is made where missing.
        name: of the codes in the projector; names the files too.
        codes: (n, d).
        columns: what is known about each code: heading -> n texts; the first is the default label.
        examples: the n examples; images (n, h, w, c) become thumbnails, a table has none.
    """
    from tensorboard.plugins import projector

    tf.io.gfile.makedirs(folder)
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name=name, tensor_path=f"{name}.tsv", metadata_path=f"{name}_metadata.tsv"
    )
    _write(folder, embedding.tensor_path, _table(codes.tolist()))
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    # The projector reads a heading only where there are several columns.
    _write(folder, embedding.metadata_path, _table(rows if len(columns) > 1 else rows[1:]))
    if examples.ndim == 4:
        thumbnails = _thumbnails(examples)
        embedding.sprite.image_path = f"{name}_sprite.png"
        embedding.sprite.single_image_dim.extend([thumbnails.shape[2], thumbnails.shape[1]])
        _write(folder, embedding.sprite.image_path, _sprite(thumbnails))
    projector.visualize_embeddings(folder, config)


def _write(folder: str, name: str, content: bytes) -> None:
    with tf.io.gfile.GFile(os.path.join(folder, name), "wb") as file:
        file.write(content)


def _table(rows) -> bytes:
    lines = ("\t".join(" ".join(str(cell).split()) for cell in row) for row in rows)
    return ("\n".join(lines) + "\n").encode()


def _thumbnails(images: NDArray) -> NDArray[np.uint8]:
    """Return images as (n, h, w, 1 or 3) uint8, neither side larger than 64 pixels."""
    pixels = tf.constant(as_pictures(images))
    height, width = images.shape[1:3]
    if max(height, width) > _LARGEST_THUMBNAIL:
        factor = _LARGEST_THUMBNAIL / max(height, width)
        size = [max(1, round(height * factor)), max(1, round(width * factor))]
        pixels = tf.image.resize(pixels, size, method="area")
    return tf.image.convert_image_dtype(pixels, tf.uint8, saturate=True).numpy()


def _sprite(thumbnails: NDArray[np.uint8]) -> bytes:
    """Return one PNG of the thumbnails, row by row in a square."""
    number, height, width, channels = thumbnails.shape
    side = int(np.ceil(np.sqrt(number)))
    cells = np.zeros((side * side, height, width, channels), np.uint8)
    cells[:number] = thumbnails
    grid = cells.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4)
    return tf.io.encode_png(grid.reshape(side * height, side * width, channels)).numpy()
