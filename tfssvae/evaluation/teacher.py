"""The figures of a Mean Teacher, which is a classifier of its own beside the model it taught."""

import numpy as np
from numpy.typing import ArrayLike

from tfssvae.evaluation.classification import error_rate
from tfssvae.regularizers.mean_teacher import MeanTeacher

_BATCH = 500


def teacher_report(model, x: ArrayLike, y: ArrayLike) -> dict[str, float]:
    """Return what a run should record of the model's Mean Teacher, ready for JSON.

    Args:
        model: any method.
        x: (n, *input_shape) examples.
        y: (n,) their classes; rows of -1 count for nothing.

    Returns:
        "teacher_accuracy" and "teacher_error", fractions; nothing where the model has no teacher.

    Raises:
        InputError: no row has a label.
    """
    teachers = [part.teacher for part in model.regularizers if isinstance(part, MeanTeacher)]
    if not teachers:
        return {}
    probs = teachers[0].predict(np.asanyarray(x), batch_size=_BATCH, verbose=0)
    error = error_rate(probs, y)
    return {"teacher_accuracy": 1.0 - error, "teacher_error": error}
