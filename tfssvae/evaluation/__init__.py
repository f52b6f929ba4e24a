"""Evaluation: what the predictions, the images and the history of a model say about it.

Everything is imported when it is first used: no TensorFlow and no matplotlib before that.
"""

from importlib import import_module

_NAMES = {
    "bound_accuracy_figure": "curves",
    "bound_figure": "histograms",
    "calibration_figure": "charts",
    "choose_rows": "embedding",
    "class_entropy": "information",
    "class_information": "information",
    "class_samples_figure": "figures",
    "classification_report": "classification",
    "classifier_features": "features",
    "clustering_accuracy": "clustering",
    "confusion_figure": "charts",
    "confusion_matrix": "classification",
    "embedding_figure": "embedding",
    "entropy_figure": "histograms",
    "error_rate": "classification",
    "expected_calibration_error": "classification",
    "figure_pixels": "figures",
    "hidden_label_divergence": "hidden_labels",
    "hidden_label_report": "hidden_labels",
    "history_figure": "history",
    "image_grid": "images",
    "information_figure": "history",
    "information_report": "information",
    "label_curve_figure": "curves",
    "negative_log_likelihood": "classification",
    "one_way_anova": "variance",
    "reconstruction_figure": "figures",
    "save_figure": "figures",
    "tsne": "embedding",
    "unlabelled_bound": "information",
}

__all__ = [*_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
