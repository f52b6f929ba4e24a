"""Files of tensorflow-datasets, written by tfds itself."""

import numpy as np

N, SHARDS = 1000, 20  # more files than tfds reads by turns, and more rows in each than at a turn
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 4, 5, 1), dtype=np.uint8)
LABELS = np.arange(N) % 3


def store(data_dir, name, features, shards=1, shuffled=False, **splits):
    """Write rows, dictionaries, as a data set that tfds has prepared."""
    import tensorflow as tf
    import tensorflow_datasets as library

    library.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=library.features.FeaturesDict(features(library.features)),
        split_datasets={
            split: tf.data.Dataset.from_generator(
                lambda rows=rows: iter(rows),
                output_signature={
                    key: tf.TensorSpec(
                        (None,) * np.ndim(value) if key == "image" else np.shape(value),
                        np.asarray(value).dtype,
                    )
                    for key, value in rows[0].items()
                },
            )
            for split, rows in splits.items()
        },
        data_dir=str(data_dir),
        disable_shuffling=not shuffled,
        download_config=library.download.DownloadConfig(num_shards=shards),
    )


def rows(images, labels):
    """Return rows with an image, a label, and two features more."""
    return [
        {"image": x, "label": np.int64(y), "kind": np.int64(y + 2), "word": b"w"}
        for x, y in zip(images, labels, strict=True)
    ]


def features(image):
    """Return the features of such rows, of three classes and of images that `image` describes."""
    return lambda f: {
        "image": f.Image(**image),
        "label": f.ClassLabel(names=["a", "b", "c"]),
        "kind": f.Scalar(np.int64),
        "word": f.Text(),
    }
