"""The model of a run as a SavedModel."""

from pathlib import Path

import numpy as np

from tfssvae import checked_json, serving
from tfssvae.data import Data
from tfssvae.runs.folder import load_run, read_config

_EXAMPLES = 2000  # images that an export sees


def export_run(
    folder: Path | str,
    directory: Path | str,
    version: int | None = None,
    score_samples: int = 100,
    best: bool = False,
) -> tuple[Path, np.ndarray]:
    """Export the model of a run as `serving.export` does, with examples and where it comes from.

    Returns:
        The path of the version, and the examples: at most 2000 test images, or training images.

    Raises:
        InputError: the run is not finished or damaged, or `serving.export` refuses something.
    """
    model, data = load_run(folder, best)
    metrics_file = Path(folder) / "metrics.json"
    metrics = checked_json.read_metrics(metrics_file) if metrics_file.exists() else {}
    options = {"version": version, "score_samples": score_samples}
    path = export_model(model, data, read_config(folder), metrics, Path(directory), **options)
    return path, _examples(data)


def _examples(data: Data) -> np.ndarray:
    images = data.x_train if data.x_test is None else data.x_test
    return np.asarray(images[: min(len(images), _EXAMPLES)])


def export_model(model, data: Data, config, metrics, directory: Path, **options) -> Path:
    """Export a model as `serving.export` does, with examples and where it comes from."""
    described = {name: value for name, value in config.items() if name != "data"}
    figures = metrics.get("test", {})
    provenance = {
        **described,
        "data": {
            # No path: the folders of this machine mean nothing elsewhere.
            **{key: value for key, value in config["data"].items() if key != "data_dir"},
            "name": data.name,
            "labels": len(data.labelled_indices),
            "images_without_label": len(data.unlabelled_indices),
            "fingerprint": data.fingerprint,
        },
        "test": {k: v for k, v in figures.items() if isinstance(v, (int, float))},
        "environment": metrics.get("environment", {}),
    }
    return serving.export(
        model,
        directory,
        class_names=data.class_names,
        examples=_examples(data),
        provenance=provenance,
        **options,
    )
