"""SSVAEClassifier: scikit-learn's own checks, and what they do not ask."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tfssvae import InputError, SSVAEClassifier
from tfssvae.layers import GaussianLikelihood

EXPECTED_FAILURES = {
    "check_classifiers_classes": "it uses -1 as a class; here, as in sklearn.semi_supervised, -1 "
    "means unlabelled",
    "check_sample_weight_equivalence_on_dense_data": "training draws minibatches: repeating a row "
    "changes which rows meet in a batch",
}


def quick(**arguments):
    """An estimator whose fit costs little more than the tracing of its step."""
    return SSVAEClassifier(
        **{
            "epochs": 40,
            "hidden": (16,),
            "latent_dim": 2,
            "learning_rate": 3e-2,
            "random_state": 0,
            **arguments,
        }
    )


@parametrize_with_checks([quick()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


WINE = {"epochs": 200, "learning_rate": 1e-2, "hidden": (64,)}


def few_labels(y, per_class=3, seed=0):
    """y with all but a few labels a class replaced by -1."""
    hidden = np.full_like(y, -1)
    rng = np.random.default_rng(seed)
    for k in np.unique(y):
        rows = rng.choice(np.flatnonzero(y == k), per_class, replace=False)
        hidden[rows] = y[rows]
    return hidden


@pytest.fixture(scope="module")
def wine():
    x, y = load_wine(return_X_y=True)
    return x, y, few_labels(y)


@pytest.fixture(scope="module")
def fitted(wine):
    x, _, few = wine
    return quick(**WINE, method_args={"likelihood": GaussianLikelihood(0.05)}).fit(x, few)


def test_unlabelled_rows_are_minus_one_and_not_a_class(fitted, wine):
    np.testing.assert_array_equal(fitted.classes_, [0, 1, 2])
    assert fitted.score(wine[0], wine[1]) > 0.85
    known = wine[2] >= 0
    assert fitted.score(wine[0], wine[2]) == fitted.score(wine[0][known], wine[1][known])


def test_views_agree_with_the_model(fitted, wine):
    x = wine[0][:5]
    probabilities = fitted.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(fitted.predict(x), probabilities.argmax(1))
    scaled = np.clip(fitted.scaler_.transform(x), 0, 1).astype("float32")
    np.testing.assert_allclose(fitted.transform(x), fitted.model_.encode(scaled), rtol=1e-5)
    sampled = fitted.sample([0, 2], random_state=1)
    assert sampled.shape == (2, 13)
    assert (sampled >= wine[0].min(0) - 1e-6).all()
    assert (sampled <= wine[0].max(0) + 1e-6).all()


def test_text_labels_come_back_as_text(wine):
    x, _, few = wine
    names = np.array(["barolo", "grignolino", "barbera"], dtype=object)
    labels = np.where(few >= 0, names[few], -1)
    estimator = quick().fit(x, labels)
    assert list(estimator.classes_) == sorted(names)
    assert set(estimator.predict(x)) <= set(names)


def test_a_pickled_estimator_predicts_the_same(fitted, wine):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(wine[0]), fitted.predict_proba(wine[0]))


def test_pipeline_and_grid_search(wine):
    x, y, _ = wine
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick(epochs=10)),
        {"ssvaeclassifier__latent_dim": [1, 2]},
        cv=2,
    )
    search.fit(x, few_labels(y, per_class=8))
    assert search.best_params_["ssvaeclassifier__latent_dim"] in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_another_process_fits_the_same_model(fitted, wine, tmp_path):
    np.savez(tmp_path / "wine.npz", x=wine[0], y=wine[2])
    code = (
        "import numpy as np, tfssvae\n"
        f"data = np.load({str(tmp_path / 'wine.npz')!r})\n"
        f"clf = tfssvae.SSVAEClassifier(latent_dim=2, random_state=0, **{WINE},"
        " method_args={'likelihood': tfssvae.layers.GaussianLikelihood(0.05)})\n"
        "clf.fit(data['x'], data['y'])\n"
        f"np.save({str(tmp_path / 'p.npy')!r}, clf.predict_proba(data['x']))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "p.npy"), fitted.predict_proba(wine[0]), atol=1e-5
    )


def test_images_are_accepted_and_generated_as_images():
    images = load_digits().images.astype("uint8") * 15
    y = load_digits().target
    estimator = quick(epochs=3).fit(images, few_labels(y))
    assert estimator.model_.example_shape == (8, 8, 1)
    assert estimator.sample([3]).shape == (1, 8, 8)
    flat = quick(epochs=3, image_shape=(8, 8)).fit(images.reshape(-1, 64), few_labels(y))
    np.testing.assert_array_equal(
        flat.predict(images.reshape(-1, 64)[:50]), estimator.predict(images[:50])
    )


def test_sample_weights_silence_labels(wine):
    x, _, few = wine
    wrong = few.copy()
    rows = np.flatnonzero(few >= 0)
    wrong[rows[::3]] = (few[rows[::3]] + 1) % 3
    weights = np.ones(len(x))
    weights[rows[::3]] = 0.0
    trusted = few.copy()
    trusted[rows[::3]] = -1
    weighted = quick().fit(x, wrong, sample_weight=weights)
    assert weighted.score(x[rows], few[rows]) > quick().fit(x, wrong).score(x[rows], few[rows])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "m3"}, "known: m2"),
        ({"epochs": 0}, "at least 1"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"image_shape": (5, 5)}, "13"),
        ({"method_args": {"latents": 3}}, "latent_dim"),
        ({"method_args": {"seed": 3}}, "random_state"),
        ({"weights": {"klz": 1.0}}, "unknown term"),
    ],
)
def test_bad_arguments_are_refused(wine, arguments, message):
    with pytest.raises(InputError, match=message):
        quick(**arguments).fit(wine[0], wine[2])


def test_data_without_labels_or_with_one_class_is_refused(wine):
    x, y, _ = wine
    with pytest.raises(ValueError, match="label"):
        quick().fit(x, np.full(len(x), -1))
    with pytest.raises(ValueError, match="one class"):
        quick().fit(x, np.zeros(len(x), int))
    with pytest.raises(InputError, match="use labels"):
        quick(epochs=1).fit(x, y).sample([7])


@pytest.mark.slow
def test_it_beats_logistic_regression_on_few_labels():
    x, y = load_digits(return_X_y=True)
    gains = []
    for seed in range(3):
        few = few_labels(y, per_class=10, seed=seed)
        known = few >= 0
        alone = (
            LogisticRegression(max_iter=1000).fit(x[known], y[known]).score(x[~known], y[~known])
        )
        clf = SSVAEClassifier(epochs=60, random_state=seed).fit(x, few)
        gains.append(clf.score(x[~known], y[~known]) - alone)
    assert np.mean(gains) > 0.01, gains
