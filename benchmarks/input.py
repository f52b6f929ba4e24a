"""Images a second that the input gives: gathered, scaled, mirrored and cropped, 32x32x3.

    tfssvae bench input [--batch 512] [--seconds 5] [--json out.json]

"resident" is what the compiled loop does within a step: rows of uint8 images on the device are
gathered, and changed as a batch. "streamed" are the batches of `data.train()`, changed likewise in
`tf.data`; "from TFRecord shards" the same of images that stay in their files, which the operating
system keeps in memory here; "from tfds files" the same of images that are decoded (PNG) from the
files of tensorflow-datasets. "an image at a time" is the `tf.data` pipeline that Keras's guides
show: shuffled, mapped over single images, batched. The floor is the bytes that must move: an image
is read once as uint8 and written once as float32, at the rate of copying a large array, measured in
the same run.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfssvae
from tfssvae.data.arrays import make_source
from tfssvae.data.pipeline import gather_batch, training_order
from tfssvae.data.shards import write_shards
from tfssvae.layers import Chain, RandomCrop, RandomFlip, scale_images
from tfssvae.noise import Noise

SHAPE, IMAGES = (32, 32, 3), 20_000
BYTES = 32 * 32 * 3 * (1 + 4)
AUGMENT = Chain([RandomFlip(), RandomCrop(4)])


def copy_rate(megabytes: int = 256) -> float:
    """Return the bytes a second, read and written, of copying a large array."""
    array = tf.zeros(megabytes * 2**18)
    copy = tf.function(lambda values: values + 1.0)
    copy(array)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        copy(array)[0].numpy()
        times.append(time.perf_counter() - started)
    return 2 * megabytes * 2**20 / min(times)


def resident(data, batch: int):
    """Return a function that makes some batches, and how many."""
    images, labels = tf.constant(data.x_train), tf.constant(data.y_train)
    steps = 20
    order = training_order(data, 0, batch)

    @tf.function
    def run(images, rows, first):
        total = 0.0
        for index in tf.range(steps):
            made = gather_batch(
                partial(tf.gather, images), labels, rows[index][:0], rows[index], None
            )
            changed = AUGMENT(scale_images(made[0]["unlabelled"]), noise=Noise(0, first + index))
            total += tf.reduce_sum(changed[:, 0, 0, 0])
        return total

    rows = tf.constant(order.rows(0, steps)[1])
    return lambda: run(images, rows, tf.constant(0)).numpy(), steps


def streamed(data, batch: int):
    """Return a function that takes some batches of `data.train()`, and how many."""
    changed = data.train(labelled=0, unlabelled=batch).map(
        lambda x: AUGMENT(scale_images(x["unlabelled"]), noise=Noise(0, 0))
    )
    return _passes(changed)


def from_shards(data, batch: int):
    """Return the same of data whose images stay in TFRecord shards."""
    folder = Path(tempfile.mkdtemp()) / "shards"
    source = make_source(data.x_train, None, name="shards", num_classes=10)
    return streamed(tfssvae.data.load(write_shards(folder, source)), batch)


def from_tfds(data, batch: int):
    """Return the same of data whose images stay in the files of tensorflow-datasets."""
    import tensorflow_datasets as tfds

    folder = tempfile.mkdtemp()
    rows = {"image": data.x_train, "label": np.arange(len(data.x_train)) % 10}
    with contextlib.redirect_stdout(sys.stderr):
        tfds.dataset_builders.store_as_tfds_dataset(
            name="pngs",
            version="1.0.0",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=SHAPE),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            split_datasets={"train": tf.data.Dataset.from_tensor_slices(rows)},
            data_dir=folder,
        )
    loaded = tfssvae.data.load("tfds:pngs", labels_per_class=0, data_dir=folder, stream=True)
    return streamed(loaded, batch)


def one_at_a_time(data, batch: int):
    """Return a function that takes some batches of a pipeline over single images."""

    def change(image):
        image = tf.image.random_flip_left_right(tf.cast(image, tf.float32) / 255.0)
        image = tf.pad(image, [[4, 4], [4, 4], [0, 0]], mode="REFLECT")
        return tf.image.random_crop(image, SHAPE)

    images = tf.data.Dataset.from_tensor_slices(data.x_train).shuffle(10_000)
    changed = images.map(change, num_parallel_calls=tf.data.AUTOTUNE)
    return _passes(changed.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE))


def _passes(batches):
    steps = 20
    iterator = iter(batches.repeat())

    def run():
        for _ in range(steps):
            next(iterator)

    return run, steps


def main() -> None:
    """Measure one way after the other, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=5, help="of every way")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.batch < 1 or options.seconds <= 0:
        parser.error("--batch must be 1 or more, and --seconds more than 0")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
    data = tfssvae.data.from_arrays(x, None, num_classes=10)
    ways = {
        "resident, in the step": resident,
        "streamed, in batches": streamed,
        "from TFRecord shards, in batches": from_shards,
        "from tfds files, in batches": from_tfds,
        "tf.data, an image at a time": one_at_a_time,
    }
    prepared = {name: make(data, options.batch) for name, make in ways.items()}
    rates, report = [copy_rate()], {"ways": {}}
    for name, (run, steps) in prepared.items():
        run()  # traced
        seconds, done = [], time.perf_counter() + options.seconds
        while time.perf_counter() < done:
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
        # The last half: what a pipeline made in advance is used up by then.
        last = seconds[len(seconds) // 2 :]
        images = options.batch * steps / statistics.mean(last)
        report["ways"][name] = {"images_per_s": images}
        rates.append(copy_rate())
    floor = max(rates) / BYTES
    print(f"copying: {max(rates) / 1e9:.1f} GB/s, at most {floor:,.0f} images/s")
    report["floor_images_per_s"] = floor
    for name, found in report["ways"].items():
        found["fraction_of_the_floor"] = found["images_per_s"] / floor
        print(
            f"{name:32} {found['images_per_s']:12,.0f} images/s "
            f"{found['fraction_of_the_floor']:6.1%} of that"
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
