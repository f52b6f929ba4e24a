"""Evaluation: what the predictions, the images and the history of a model say about it.

Everything is imported when it is first used: no TensorFlow and no matplotlib before that.
"""

from importlib import import_module

_NAMES = {
    "activated_units": "latent",
    "active_units": "codes",
    "along_path": "path_figures",
    "as_pictures": "images",
    "bound_accuracy_figure": "curves",
    "bound_figure": "histograms",
    "calibration_figure": "charts",
    "choose_rows": "embedding",
    "class_entropy": "information",
    "class_information": "information",
    "class_planes_figure": "layer_figures",
    "class_samples_figure": "figures",
    "class_v_nat": "latent",
    "classification_report": "classification",
    "classifier_features": "features",
    "clustering_accuracy": "clustering",
    "code_layers": "codes",
    "code_layers_figure": "layer_figures",
    "code_plane_figure": "layer_figures",
    "codes_over_prior": "latent_map",
    "confusion_figure": "charts",
    "confusion_matrix": "classification",
    "decode_codes": "latent",
    "decoded_classes_figure": "decoded_classes",
    "embedding_figure": "embedding",
    "entropy_figure": "histograms",
    "error_rate": "classification",
    "estimate": "paired",
    "expected_calibration_error": "classification",
    "figure_pixels": "figures",
    "free_class_report": "free_classes",
    "generation_figure": "layer_figures",
    "has_styles": "style_images",
    "hidden_label_divergence": "hidden_labels",
    "hidden_label_report": "hidden_labels",
    "hidden_label_rows": "hidden_labels",
    "history_figure": "history",
    "history_key": "history",
    "history_key_figure": "history",
    "image_grid": "images",
    "images_of_classes": "free_classes",
    "inception_score": "inception",
    "information_figure": "history",
    "information_report": "information",
    "interpolation_figure": "path_figures",
    "kl_bounds": "latent",
    "kl_decomposition": "decomposition",
    "kl_to_prior": "latent",
    "label_curve_figure": "curves",
    "latent_grid": "latent",
    "latent_grid_figure": "latent_figures",
    "latent_map_figure": "latent_map",
    "latent_report": "latent_summary",
    "latent_scatter_figure": "latent_figures",
    "layer_report": "codes",
    "likely_codes": "latent_figures",
    "line_figure": "path_figures",
    "logistic_judge": "free_classes",
    "name_classes": "free_classes",
    "negative_log_likelihood": "classification",
    "negative_ssim": "similarity",
    "one_way_anova": "variance",
    "paired_difference": "paired",
    "path_figure": "path_figures",
    "posterior_components": "latent",
    "principal_components": "codes",
    "prior_codes": "latent_map",
    "prior_figure": "latent_figures",
    "random_images": "layer_figures",
    "quantity_figure": "history",
    "reconstruction_figure": "figures",
    "save_figure": "figures",
    "seeds_figure": "curves",
    "short_name": "class_names",
    "style_figure": "style_images",
    "subspace_figure": "latent_figures",
    "teacher_report": "teacher",
    "top_codes": "codes",
    "tsne": "embedding",
    "unit_figure": "latent_figures",
    "unit_usage": "units",
    "unit_usage_figure": "units",
    "unlabelled_bound": "information",
    "v_nat": "latent",
    "v_nat_correlation": "latent",
    "v_nat_correlation_figure": "latent_figures",
    "v_nat_figure": "latent_figures",
    "worst_mistakes": "mistakes",
}

__all__ = [*_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
