"""SSVAEClassifier: what scikit-learn's checks do not ask."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.small_classifier import few_labels, quick
from tfssvae import InputError, networks
from tfssvae.layers import GaussianLikelihood

WINE = {"epochs": 200, "learning_rate": 1e-2, "hidden": (64,)}


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
        ({"method": "m3"}, "known: adgm"),
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


def test_text_that_looks_like_the_mark_of_unlabelled_rows_is_refused(wine):
    x, y, few = wine
    names = np.array(["barolo", "grignolino", "barbera"])
    with pytest.raises(InputError, match="dtype object"):
        quick().fit(x, np.where(few >= 0, names[few], "-1"))
    assert list(quick(epochs=1).fit(x, names[y]).classes_) == sorted(names)


def test_labels_that_cannot_be_sorted_are_refused(wine):
    mixed = wine[1].astype(object)
    mixed[mixed == 0] = "barolo"
    with pytest.raises(InputError, match="either text or numbers"):
        quick().fit(wine[0], mixed)


def test_features_are_clipped_to_the_limits_seen_in_fit(fitted, wine):
    x = wine[0]
    outside = np.stack([x.min(0) - 7, x.max(0) + 7])
    limits = np.stack([x.min(0), x.max(0)])
    np.testing.assert_array_equal(fitted.predict_proba(outside), fitted.predict_proba(limits))
    np.testing.assert_allclose(fitted.scaler_.transform(limits), [[0] * 13, [1] * 13], atol=1e-12)


def test_equal_weights_of_1_change_nothing(wine, fitted):
    x, _, few = wine
    weighted = clone(fitted).fit(x, few, sample_weight=np.ones(len(x)))
    np.testing.assert_allclose(weighted.history_["loss"], fitted.history_["loss"], rtol=1e-5)
    np.testing.assert_allclose(weighted.predict_proba(x), fitted.predict_proba(x), atol=1e-4)


def test_weights_multiply_the_labelled_terms_only(wine):
    x, _, few = wine

    def first_step(weight):
        one_step = quick(epochs=1, unlabelled_batch=len(x))
        history = one_step.fit(x, few, sample_weight=np.full(len(x), weight)).history_
        return {name: values[0] for name, values in history.items() if "monitor" not in name}

    single, threefold = first_step(1.0), first_step(3.0)
    for name in single.keys() - {"loss"}:
        factor = 3.0 if name.startswith("labelled_") or name == "classification" else 1.0
        np.testing.assert_allclose(threefold[name], factor * single[name], rtol=1e-5)


def test_a_weight_belongs_to_its_row(wine):
    x, _, few = wine
    rows = np.flatnonzero(few >= 0)[::3]
    wrong = few.copy()
    wrong[rows] = (few[rows] + 1) % 3
    weights = np.ones(len(x))
    weights[rows] = 1e-4
    distrusted = quick().fit(x, wrong, sample_weight=weights)
    np.testing.assert_array_equal(distrusted.predict(x[rows]), few[rows])


def test_a_weight_of_zero_removes_a_labelled_row_and_no_other(wine):
    x, _, few = wine
    rows = np.flatnonzero(few >= 0)
    kept = np.ones(len(x), bool)
    kept[rows[::3]] = False
    weights = np.where(few >= 0, kept, 0.0)  # 0 for all unlabelled rows: that is ignored
    removed = quick(epochs=5).fit(x[kept], few[kept], sample_weight=np.ones(kept.sum()))
    weighted = quick(epochs=5).fit(x, few, sample_weight=weights)
    np.testing.assert_array_equal(weighted.predict_proba(x), removed.predict_proba(x))


@pytest.mark.parametrize(("weight", "message"), [(0.0, "zero"), (-1.0, "negative")])
def test_bad_weights_are_refused(wine, weight, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(wine[0], wine[2], sample_weight=np.full(len(wine[0]), weight))


def test_networks_of_the_user_are_copied_not_trained(wine):
    x, _, few = wine
    network = networks.mlp((13,), (8,), 3, seed=5)
    before = [weight.copy() for weight in network.get_weights()]
    estimator = quick(epochs=20, method_args={"classifier": network})
    first = estimator.fit(x, few).predict_proba(x)
    trained = estimator.model_.classifier.get_weights()
    np.testing.assert_array_equal(estimator.fit(x, few).predict_proba(x), first)
    for weight, start, end in zip(network.get_weights(), before, trained, strict=True):
        np.testing.assert_array_equal(weight, start)
        assert not np.array_equal(end, start)


def test_random_state_decides_the_fit(wine):
    x, _, few = wine
    one, two = (quick(epochs=3, random_state=seed).fit(x, few) for seed in (1, 2))
    assert not np.array_equal(one.predict_proba(x), two.predict_proba(x))


def test_a_dumped_estimator_predicts_the_same_in_another_process(fitted, wine, tmp_path):
    joblib.dump((fitted, wine[0]), tmp_path / "fitted.joblib")
    code = (
        "import sys, joblib, numpy as np\n"
        "estimator, x = joblib.load(sys.argv[1])\n"
        "np.savez(sys.argv[2], probabilities=estimator.predict_proba(x),"
        " codes=estimator.transform(x), sample=estimator.sample([1], random_state=3))\n"
    )
    files = [str(tmp_path / name) for name in ("fitted.joblib", "there.npz")]
    subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True)
    there = np.load(files[1])
    np.testing.assert_allclose(there["probabilities"], fitted.predict_proba(wine[0]), rtol=1e-5)
    np.testing.assert_allclose(there["codes"], fitted.transform(wine[0]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(there["sample"], fitted.sample([1], random_state=3), rtol=1e-5)


def test_a_failed_fit_leaves_an_unfitted_estimator(wine):
    estimator = quick(weights={"klz": 1.0})
    with pytest.raises(InputError):
        estimator.fit(wine[0], wine[2])
    with pytest.raises(NotFittedError):
        estimator.predict(wine[0])


def test_codes_become_named_columns(fitted):
    names = fitted.get_feature_names_out()
    assert list(names) == ["ssvaeclassifier0", "ssvaeclassifier1"]


def test_names_of_columns_are_kept_and_checked(wine):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(wine[0]).rename(columns=lambda i: f"f{i}")
    estimator = quick(epochs=1).fit(frame, pandas.Series(wine[2]))
    assert list(estimator.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 1.5}, "got 1.5"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"hidden": ()}, "hidden"),
        ({"hidden": 5}, "hidden"),
        ({"hidden": (8, -1)}, "hidden"),
        ({"unlabelled_batch": 0}, "unlabelled_batch"),
        ({"image_shape": 13}, "image_shape"),
        ({"image_shape": (1, 1, 1, 13)}, "image_shape"),
        ({"method_args": 5}, "method_args"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(wine, arguments, message):
    with pytest.raises(InputError, match=message):
        quick(**arguments).fit(wine[0], wine[2])


def test_samples_are_of_the_class_asked_for(fitted):
    labels = np.repeat([2, 0, 1], 20)
    samples = fitted.sample(labels, random_state=0)
    assert np.mean(fitted.predict(samples) == labels) > 0.8
    np.testing.assert_array_equal(fitted.sample(labels, random_state=0), samples)
    assert not np.array_equal(fitted.sample(labels, random_state=1), samples)
