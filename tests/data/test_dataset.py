"""`load`, `from_arrays` and `Data`: which labels the model sees, and what it never sees."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import tfssvae.data
from tfssvae.checks import InputError
from tfssvae.data import from_arrays, load, load_split
from tfssvae.data.arrays import make_source, of_classes

X = (255 - np.arange(20 * 4)).astype(np.uint8).reshape(20, 2, 2)
Y = np.array([0, 1] * 7 + [2] * 4 + [-1] * 2)


def test_all_labels_that_are_there():
    data = from_arrays(X, Y)
    np.testing.assert_array_equal(data.y_train, Y)
    np.testing.assert_array_equal(data.hidden_labels, Y)
    assert data.labelled_indices.tolist() == list(range(18))
    assert data.unlabelled_indices.tolist() == [18, 19]
    assert data.validation_indices.tolist() == []
    assert data.x_validation.shape == (0, 2, 2, 1)
    assert data.y_validation.shape == (0,)
    assert (data.num_classes, data.input_shape) == (3, (2, 2, 1))
    assert data.class_names == ("0", "1", "2")
    assert np.shares_memory(data.x_train, X)
    indices = (data.labelled_indices, data.unlabelled_indices, data.validation_indices)
    assert {array.dtype for array in indices} == {np.dtype(np.int64)}
    assert data.y_train.dtype == data.hidden_labels.dtype == np.int32


def test_classes_are_counted_in_training_and_test_labels():
    assert from_arrays(X, Y, X[:2], [0, 1]).num_classes == 3
    assert from_arrays(X, Y, X[:2], [3, 4]).num_classes == 5


def test_labels_validation_and_the_rest_part_the_training_rows():
    data = from_arrays(X, Y, labels_per_class=2, validation=5, seed=1)
    parts = [data.labelled_indices, data.unlabelled_indices, data.validation_indices]
    assert [len(part) for part in parts] == [6, 9, 5]
    assert sorted(np.concatenate(parts).tolist()) == list(range(20))
    assert np.bincount(Y[data.labelled_indices]).tolist() == [2, 2, 2]
    # 5 * (7, 7, 4) / 18 = 1.94, 1.94, 1.11
    assert np.bincount(Y[data.validation_indices]).tolist() == [2, 2, 1]
    seen = np.flatnonzero(data.y_train >= 0)
    np.testing.assert_array_equal(seen, data.labelled_indices)
    np.testing.assert_array_equal(data.y_train[seen], Y[seen])
    np.testing.assert_array_equal(data.x_validation[..., 0], X[data.validation_indices])
    np.testing.assert_array_equal(data.y_validation, Y[data.validation_indices])


def test_validation_does_not_depend_on_the_number_of_labels():
    few = from_arrays(X, Y, labels_per_class=1, validation=5, seed=1)
    many = from_arrays(X, Y, labels_per_class=3, validation=5, seed=1)
    np.testing.assert_array_equal(few.validation_indices, many.validation_indices)
    assert set(few.labelled_indices) < set(many.labelled_indices)


def test_labels_held_out_for_validation_are_not_there_to_choose():
    with pytest.raises(InputError, match=r'Class 2 \("fox"\) .* 4 wanted, 3 there'):
        from_arrays(X, Y, labels_per_class=4, validation=5, class_names=["a", "b", "fox"])


def test_labelled_classes_and_classes_without_labels():
    data = from_arrays(X, Y, labelled_classes=["b"], class_names=["a", "b", "c", "d"])
    assert np.unique(data.y_train).tolist() == [-1, 1]
    assert data.classes_without_labels == ("a", "c", "d")
    assert from_arrays(X, Y).classes_without_labels == ()
    unsupervised = from_arrays(X, Y, labels_per_class=0)
    assert (unsupervised.y_train == -1).all()
    assert unsupervised.classes_without_labels == ("0", "1", "2")


def test_no_labels_at_all():
    data = from_arrays(X, None, num_classes=3, validation=0.25)
    assert (data.y_train == -1).all()
    assert (data.hidden_labels == -1).all()
    assert [len(data.labelled_indices), len(data.unlabelled_indices)] == [0, 15]
    assert data.num_classes == 3
    with pytest.raises(InputError, match=r"no label at all.* pass num_classes"):
        from_arrays(X, None)
    with pytest.raises(InputError, match="no label at all"):
        from_arrays(X, np.full(20, -1))
    with pytest.raises(InputError, match=r"Class 0 .*1 wanted, 0 there"):
        from_arrays(X, None, num_classes=3, labels_per_class=1)


def test_one_hot_labels_and_tables():
    data = from_arrays(X.reshape(20, 4), np.eye(2)[[0, 1] * 10], num_classes=2)
    assert data.y_train.tolist() == [0, 1] * 10
    assert data.input_shape == (4,)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y + 5, {"num_classes": 3}, r"y_train has labels 3, .*must be in -1\.\.2|labels 4, 5"),
        (X, Y * 0.5, {}, "whole numbers"),
        (X, Y * 0, {}, "one class only"),
        (X, np.where(Y == 2, 2, -1), {}, r"one class only \(every label is 2\)"),
        (X, Y * 0, {"num_classes": 1}, "1 class: at least two"),
        (X / 1.0, Y, {}, "divide by 255"),
        (X * np.nan, Y, {}, r"80 NaN or infinite values, the first at x_train\[0, 0, 0\]"),
        (X / 100 - np.inf, Y, {}, "NaN or infinite"),
        (X[0, 0], Y, {}, r"must have shape"),
        (X[..., None, None, None], Y, {}, r"must have shape"),
        (X[:19], Y, {}, "x_train and y_train must have the same length, got 19 and 20"),
        (X[:0], Y[:0], {}, "x_train is empty"),
        (X, Y, {"x_test": X}, "x_test and y_test go together"),
        (X, Y, {"y_test": Y}, "x_test and y_test go together"),
        (X, Y, {"x_test": X, "y_test": Y[1:]}, "x_test and y_test must have the same length"),
        (X, Y, {"x_test": X[:, 0], "y_test": Y}, r"x_test must have shape \(n, 2, 2, 1\)"),
        (X, Y, {"x_test": X, "y_test": Y + 5, "num_classes": 3}, "y_test has labels"),
        (X, Y, {"class_names": ["a", "b", "c"], "num_classes": 4}, "3 names but num_classes is 4"),
        (X, Y, {"binarize": "fix"}, r'Unknown binarize "fix": did you mean "fixed"\?'),
        (X, Y, {"seed": -1}, "seed must be a whole number"),
        (X, Y, {"seed": 1.5, "binarize": "fixed"}, "seed must be a whole number"),
        (X, Y, {"grey": True, "image_size": 28}, "two positive integers"),
        (X.reshape(20, 4), Y, {"image_size": (2, 2)}, "image_size needs images"),
        (X.reshape(20, 4), Y, {"grey": True}, "grey needs images"),
        (X, Y, {"validation": 18}, "validation must be a whole number of rows below 18"),
    ],
)
def test_bad_input(x, y, options, message):
    with pytest.raises(InputError, match=message):
        from_arrays(x, y, **options)


def test_transforms_apply_to_training_and_test_data():
    x = np.zeros((4, 4, 4, 3), np.uint8)
    x[..., 0] = 255
    data = from_arrays(x, [0, 1, 0, 1], x[:2], [0, 1], grey=True, image_size=(2, 2))
    assert data.input_shape == (2, 2, 1)
    assert np.unique(data.x_train).tolist() == np.unique(data.x_test).tolist() == [76]
    assert x.shape == (4, 4, 4, 3)


def test_binarization():
    x = np.full((50, 4, 4), 128, np.uint8)
    y = [0, 1] * 25
    fixed = from_arrays(x, y, x, y, binarize="fixed", seed=1)
    assert set(np.unique(fixed.x_train)) == set(np.unique(fixed.x_test)) == {0, 255}
    assert (fixed.x_train != fixed.x_test).any()
    assert fixed.binarize == "fixed"
    again = from_arrays(x, y, x, y, binarize="fixed", seed=1)
    np.testing.assert_array_equal(fixed.x_train, again.x_train)
    assert (from_arrays(x, y, binarize="fixed", seed=2).x_train != fixed.x_train).any()
    dynamic = from_arrays(x, y, x, y, binarize="dynamic")
    assert np.unique(dynamic.x_train).tolist() == np.unique(dynamic.x_test).tolist() == [128]
    assert dynamic.binarize == "dynamic"
    rounded = from_arrays(x, y, x, y, binarize="round")
    assert np.unique(rounded.x_train).tolist() == np.unique(rounded.x_test).tolist() == [255]
    assert from_arrays(x, y).binarize is None


def test_load_digits_and_its_options():
    data = load("digits", labels_per_class=10, validation=0.1, seed=4, image_size=(4, 4))
    assert data.input_shape == (4, 4, 1)
    assert data.x_test.shape == (359, 4, 4, 1)
    assert np.bincount(data.y_train[data.y_train >= 0]).tolist() == [10] * 10
    assert len(data.validation_indices) == 144
    assert (data.name, data.seed) == ("digits", 4)
    assert load("digits", label_fraction=0.1).labelled_indices.size == 144
    names = load("digits", labels_per_class={"3": 2, 5: 1}).class_names
    assert names == tuple("0123456789")
    with pytest.raises(InputError, match='"digits" has 10 classes, not num_classes=9'):
        load("digits", num_classes=9)


def test_some_classes_of_a_data_set_are_a_data_set(tmp_path):
    whole = load("digits")
    data = load("digits", classes=["7", 3], labels_per_class=4, seed=1)
    assert data.class_names == ("7", "3")
    for found, y, x, all_y in (
        (data.x_train, data.hidden_labels, whole.x_train, whole.hidden_labels),
        (data.x_test, data.y_test, whole.x_test, whole.y_test),
    ):
        kept = np.isin(all_y, [7, 3])
        np.testing.assert_array_equal(found, x[kept])
        np.testing.assert_array_equal(y, np.where(all_y[kept] == 7, 0, 1))
    assert np.bincount(data.y_train[data.y_train >= 0]).tolist() == [4, 4]
    data.save_split(tmp_path / "split.json")
    again = load("digits", classes=["7", 3], split=tmp_path / "split.json")
    np.testing.assert_array_equal(again.labelled_indices, data.labelled_indices)


def test_rows_without_a_label_are_of_no_class():
    source = make_source(X, Y, name="toy")  # Y has -1 in it
    assert (source.y_train < 0).any()
    found = of_classes(source, [1, 0])
    kept = np.isin(Y, [0, 1])
    np.testing.assert_array_equal(found.x_train[..., 0], X[kept])
    np.testing.assert_array_equal(found.y_train, 1 - Y[kept])
    assert found.x_test is None


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([3], "at least two"),
        ([3, 3], "classes names a class twice"),
        ([3, 10], "Unknown class 10"),
        ("37", "must be a list"),
    ],
)
def test_classes_that_are_no_choice_are_refused(classes, message):
    with pytest.raises(InputError, match=message):
        load("digits", classes=classes)


def test_clusters_beyond_the_classes_have_no_labels():
    found = load("digits", labels_per_class=2, clusters=12)
    assert found.num_classes == 12
    assert found.class_names[10:] == ("cluster 10", "cluster 11")
    assert len(found.labelled_indices) == 20
    arrays = from_arrays(np.zeros((4, 2)), [0, 1, 0, 1], labels_per_class=1, clusters=5)
    assert (arrays.num_classes, len(arrays.labelled_indices)) == (5, 2)
    with pytest.raises(InputError, match="clusters=9 are too few"):
        load("digits", clusters=9)


def test_saved_split_gives_the_same_rows(tmp_path):
    path = tmp_path / "run" / "split.json"
    data = load("digits", labels_per_class=3, validation=50, seed=9)
    data.save_split(path)
    for split in (path, str(path), load_split(path)):
        again = load("digits", split=split)
        np.testing.assert_array_equal(again.labelled_indices, data.labelled_indices)
        np.testing.assert_array_equal(again.validation_indices, data.validation_indices)
        np.testing.assert_array_equal(again.y_train, data.y_train)
    content = json.loads(path.read_text())
    assert (content["name"], content["n"], content["seed"]) == ("digits", 1438, 9)
    assert content["labelled"] == data.labelled_indices.tolist()


def test_split_belongs_to_the_data_and_not_to_its_transforms(tmp_path):
    path = tmp_path / "split.json"
    from_arrays(X, Y, labels_per_class=1, image_size=(1, 1), binarize="fixed").save_split(path)
    plain = from_arrays(X, Y, split=path)
    assert len(plain.labelled_indices) == 3
    plain.save_split(tmp_path / "again.json")
    first, second = load_split(path), load_split(tmp_path / "again.json")
    assert first == second


def test_split_of_other_data_is_refused(tmp_path):
    path = tmp_path / "split.json"
    from_arrays(X, Y, labels_per_class=1).save_split(path)
    for x, y in [(X + 1, Y), (X, np.roll(Y, 1)), (X[:-1], Y[:-1]), (X[::-1], Y)]:
        with pytest.raises(InputError, match="The split was made from other data"):
            from_arrays(x, y, split=path)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"split\.json is damaged"):
        from_arrays(X, Y, split=path)
    with pytest.raises(InputError, match="The split is damaged: it lacks"):
        from_arrays(X, Y, split={})


@pytest.mark.parametrize(
    "options",
    [
        {"labels_per_class": 1},
        {"labels_per_class": 0},
        {"label_fraction": 0.5},
        {"labelled_classes": [0]},
        {"validation": 3},
    ],
)
def test_split_replaces_all_other_choices(options):
    with pytest.raises(InputError, match="split says already which rows"):
        from_arrays(X, Y, split="split.json", **options)


def test_summary_counts_rows_per_class():
    data = from_arrays(
        X,
        Y,
        X[:3],
        Y[:3],
        class_names=["ape", "bee", "cow", "doe"],
        labels_per_class={"ape": 2, "bee": 1},
        validation=5,
    )
    lines = data.summary().splitlines()
    assert lines[0] == (
        "arrays: 2x2x1 uint8, 4 classes, 3 labelled, 12 unlabelled, 5 validation, 3 test"
    )
    assert [line.split() for line in lines[1:]] == [
        ["class", "labelled", "unlabelled", "validation", "test"],
        ["ape", "2", "3", "2", "2"],
        ["bee", "1", "4", "2", "1"],
        ["cow", "0", "3", "1", "0"],
        ["doe", "0", "0", "0", "0"],
        ["(unknown)", "0", "2", "0", "0"],
        ["total", "3", "12", "5", "3"],
        ["classes", "without", "labels:", "cow,", "doe"],
    ]
    assert repr(data) == f"Data({lines[0]})"
    complete = from_arrays(X[:18], Y[:18]).summary()
    assert "unknown" not in complete
    assert "without" not in complete


def test_batches_come_from_the_pipeline(monkeypatch):
    calls = SimpleNamespace(
        training_batches=lambda *arguments: ("train", arguments),
        evaluation_batches=lambda *arguments: ("evaluate", arguments),
    )
    monkeypatch.setattr(tfssvae.data, "pipeline", calls, raising=False)
    data = from_arrays(X, Y, X[:3], Y[:3], validation=5, binarize="dynamic")
    assert data.train() == ("train", (data, 100, 200, None, 100))
    sizes = {"labelled": 1, "unlabelled": 2, "unfeatured": 4}
    assert data.train(seed=3, **sizes) == ("train", (data, 1, 2, 3, 4))
    assert data.test() == ("evaluate", (data.x_test, data.y_test, 500, "dynamic"))
    assert data.validation(7) == (
        "evaluate",
        (data.x_validation, data.y_validation, 7, "dynamic"),
    )


def test_batches_that_cannot_be_had():
    data = from_arrays(X, Y, name="toys")
    with pytest.raises(InputError, match='"toys" has no test data: give x_test and y_test'):
        data.test()
    with pytest.raises(InputError, match='"toys" was loaded without validation rows'):
        data.validation()


def test_labels_without_examples_become_class_probabilities():
    assert from_arrays(X, Y).unfeatured is None
    bare = from_arrays(X, Y, unfeatured=[2, 0, 2])
    np.testing.assert_array_equal(bare.unfeatured, np.eye(3)[[2, 0, 2]])
    assert bare.unfeatured.dtype == np.float32
    assert repr(bare) == repr(from_arrays(X, Y))[:-1] + ", 3 unfeatured)"
    assert ", 3 unfeatured" in bare.summary()
    rows = [[0.95, 0.025, 0.025], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(from_arrays(X, Y, unfeatured=rows).unfeatured, rows, rtol=1e-6)
    assert load("digits", unfeatured="classes").unfeatured.tolist() == np.eye(10).tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "in 0..2"),
        ([0, -1], "in 0..2"),
        ([0.5, 1.0], "whole numbers"),
        ([], "empty"),
        ("clases", 'did you mean "classes"'),
        ([[0.5, 0.6, 0.0]], "row 0"),
        ([[0.5, 0.5, 0.0], [2.0, -1.0, 0.0]], "row 1"),
        ([[0.5, np.nan, 0.5]], "row 0"),
        ([[0.5, 0.5]], "shape .n, 3."),
        ([["a", "b", "c"]], "probabilities"),
    ],
)
def test_labels_without_examples_that_are_none_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        from_arrays(X, Y, unfeatured=labels)
