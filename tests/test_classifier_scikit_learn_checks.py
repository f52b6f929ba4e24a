"""SSVAEClassifier passes scikit-learn's own checks."""

import pytest
import tensorflow as tf
from sklearn.utils.estimator_checks import check_classifiers_classes, estimator_checks_generator

from tests.small_classifier import quick

EXPECTED_FAILURES = {
    "check_classifiers_classes": "it uses -1 as a class; here, as in sklearn.semi_supervised, -1 "
    "means unlabelled",
    "check_sample_weight_equivalence_on_dense_data": "training draws minibatches: repeating a row "
    "changes which rows meet in a batch",
}
MANY_FITS = {
    "check_transformer_data_not_an_array",
    "check_estimators_dtypes",
    "check_pipeline_consistency",
    "check_estimators_overwrite_params",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_supervised_y_2d",
    "check_sample_weight_equivalence_on_dense_data",
}
"""scikit-learn's checks that fit ten models or more; others ask most of what they ask."""


def checks():
    """Yield scikit-learn's checks of estimators; those in `MANY_FITS` are slow tests."""
    for estimator, check in estimator_checks_generator(quick()):
        name = check.func.__name__
        if name not in MANY_FITS:  # the others ask how well it fits
            estimator.set_params(epochs=5)
        marks = [pytest.mark.slow] if name in MANY_FITS else []
        if name in EXPECTED_FAILURES:
            marks.append(pytest.mark.xfail(reason=EXPECTED_FAILURES[name], strict=True))
        arguments = "".join(f"-{key}={value}" for key, value in check.keywords.items())
        yield pytest.param(estimator, check, id=f"{name}{arguments}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_every_check_of_scikit_learn_passes(estimator, check):
    # To trace a step costs more than a few steps; batches with weights are traced in any case.
    name = check.func.__name__
    traced = name in MANY_FITS or name.startswith("check_sample_weight")
    tf.config.run_functions_eagerly(not traced)
    try:
        check(estimator)
    finally:
        tf.config.run_functions_eagerly(False)


def test_class_labels_of_every_kind_that_leaves_minus_one_free():
    # The check that is expected to fail above, under a name that it does not ask about -1.
    check_classifiers_classes("LabelSpreading", quick())
