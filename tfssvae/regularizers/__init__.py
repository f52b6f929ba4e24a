"""Terms that any method takes: one file per regularizer, and one line in REGULARIZERS."""

from tfssvae.registry import Registry

REGULARIZERS = Registry(
    "REGULARIZERS",
    {
        "mier": "tfssvae.regularizers.mier:MIER",
        "interpolation": "tfssvae.regularizers.interpolation:OptimalInterpolation",
        "consistency": "tfssvae.regularizers.consistency:SoftLabelConsistency",
        "mixup": "tfssvae.regularizers.mixup:Mixup",
        "mean_teacher": "tfssvae.regularizers.mean_teacher:MeanTeacher",
    },
)

__all__ = ["REGULARIZERS", "Regularizer", *REGULARIZERS.class_names()]


def __getattr__(name: str):
    if name == "Regularizer":
        from tfssvae.regularizers.base import Regularizer

        return Regularizer
    return REGULARIZERS.attribute(name)
