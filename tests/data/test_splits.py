"""The choice of labelled and validation rows, and the file that keeps it."""

import json

import numpy as np
import pytest

from tfssvae import checks
from tfssvae.checks import InputError
from tfssvae.data import splits
from tfssvae.data.splits import choose_labelled, choose_validation, class_index

# 50 rows of class 0, 30 of class 1, 15 of class 2, 5 of class 3, and 20 without a label.
Y = np.random.default_rng(5).permutation(np.repeat([0, 1, 2, 3, -1], [50, 30, 15, 5, 20]))
Y = Y.astype(np.int32)


def counts(indices):
    return np.bincount(Y[indices], minlength=4).tolist()


def test_all_labels_by_default():
    np.testing.assert_array_equal(choose_labelled(Y, 4), np.flatnonzero(Y >= 0))


def test_labels_per_class_is_balanced_sorted_and_without_repeats():
    chosen = choose_labelled(Y, 4, labels_per_class=5, seed=1)
    assert chosen.dtype == np.int64
    assert counts(chosen) == [5, 5, 5, 5]
    assert (np.diff(chosen) > 0).all()


def test_choice_of_a_seed_is_fixed_for_good():
    assert choose_labelled(Y, 4, labels_per_class=1, seed=0).tolist() == [3, 11, 56, 62]
    assert choose_validation(Y, 4, 4, seed=0).tolist() == [15, 27, 76, 116]


def test_choice_depends_on_the_seed_and_is_uniform():
    times_chosen = np.zeros(len(Y))
    for seed in range(400):
        times_chosen[choose_labelled(Y, 4, labels_per_class={0: 10}, seed=seed)] += 1
    # Binomial(400, 0.2): mean 80, standard deviation 8.
    assert times_chosen[Y == 0].min() > 80 - 4 * 8
    assert times_chosen[Y == 0].max() < 80 + 4 * 8
    assert times_chosen[Y != 0].sum() == 0


def test_more_labels_of_the_same_seed_contain_the_fewer():
    few = choose_labelled(Y, 4, labels_per_class=2, seed=7)
    many = choose_labelled(Y, 4, labels_per_class=4, seed=7)
    assert set(few) < set(many)


def test_names_of_classes_in_either_unicode_form():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert class_index(decomposed, ["tea", composed]) == 1
    assert class_index(composed, ["tea", decomposed]) == 1
    assert class_index(decomposed, ["tea", composed, decomposed]) == 2
    with pytest.raises(InputError, match="Unknown class"):
        class_index("cafe", ["tea", composed])


def test_numbers_by_class_index_and_name():
    names = ("a", "b", "c", "d")
    chosen = choose_labelled(Y, 4, labels_per_class={"a": 3, 2: 1, "d": 0}, class_names=names)
    assert counts(chosen) == [3, 0, 1, 0]


def test_a_number_as_text_is_an_index_where_no_class_has_that_name():
    assert counts(choose_labelled(Y, 4, classes=["1", "3"], labels_per_class=2)) == [0, 2, 0, 2]
    named = choose_labelled(
        Y, 4, classes=["1"], labels_per_class=2, class_names=("3", "2", "1", "0")
    )
    assert counts(named) == [0, 0, 2, 0]


def test_only_some_classes_are_labelled():
    assert counts(choose_labelled(Y, 4, classes=[1, 3])) == [0, 30, 0, 5]
    assert counts(choose_labelled(Y, 4, labels_per_class=2, classes=[1, 3])) == [0, 2, 0, 2]
    assert counts(choose_labelled(Y, 4, label_fraction=0.2, classes=[1, 3])) == [0, 6, 0, 1]
    by_name = choose_labelled(Y, 4, classes=["b", 3], class_names="abcd")
    assert counts(by_name) == [0, 30, 0, 5]


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (1.0, [50, 30, 15, 5]),
        (0.2, [10, 6, 3, 1]),
        (0.5, [25, 15, 8, 2]),  # 25, 15, 7.5, 2.5: the lower class takes the odd row
        (0.04, [1, 1, 1, 1]),  # 2, 1.2, 0.6, 0.2: at least one each
        (0.06, [2, 2, 1, 1]),  # 3, 1.8, 0.9, 0.3 -> 3, 2, 1, 0 -> the largest gives one
        (0.03, [2, 1, 0, 0]),  # 1.5, 0.9, 0.45, 0.15: too few for one each
    ],
)
def test_fraction_keeps_proportions(fraction, expected):
    assert counts(choose_labelled(Y, 4, label_fraction=fraction)) == expected


def test_balanced_fraction():
    assert counts(choose_labelled(Y, 4, label_fraction=0.2, balanced=True)) == [5, 5, 5, 5]
    with pytest.raises(InputError, match=r'Class 3 \("3"\) has too few .*: 10 wanted, 5 there'):
        choose_labelled(Y, 4, label_fraction=0.4, balanced=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels_per_class": 6}, r'Class 3 \("d"\) has too few .*: 6 wanted, 5 there'),
        ({"labels_per_class": 20}, r'Class 2 \("c"\) \(and 1 more classes\)'),
        ({"labels_per_class": -1}, "labels_per_class must be a whole number"),
        ({"labels_per_class": 2.0}, "labels_per_class must be a whole number"),
        ({"labels_per_class": True}, "labels_per_class must be a whole number"),
        ({"labels_per_class": {"a": -1}}, "labels_per_class must be a whole number"),
        ({"labels_per_class": {"e": 1}}, 'Unknown class "e": known: a, b, c, d'),
        ({"labels_per_class": {4: 1}}, r"Unknown class 4: classes are 0\.\.3"),
        ({"labels_per_class": {0: 1}, "classes": [0]}, "leave labelled_classes out"),
        ({"labels_per_class": 1, "label_fraction": 0.5}, "exclude each other"),
        ({"label_fraction": 0}, "above 0 and at most 1"),
        ({"label_fraction": 1.5}, "above 0 and at most 1"),
        ({"label_fraction": float("nan")}, "above 0 and at most 1"),
        ({"label_fraction": 0.001}, "no row at all"),
        ({"classes": []}, "list of classes"),
        ({"classes": "ab"}, "list of classes"),
        ({"classes": [0, "a"]}, "names a class twice"),
        ({"classes": [-1]}, "a class must be a whole number"),
        ({"seed": -1, "labels_per_class": 1}, "seed must be a whole number"),
    ],
)
def test_impossible_choices_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        choose_labelled(Y, 4, class_names=("a", "b", "c", "d"), **options)


@pytest.mark.parametrize("validation", [20, 0.2, np.int64(20), 20.0])
def test_validation_keeps_proportions(validation):
    chosen = choose_validation(Y, 4, validation, seed=3)
    assert chosen.dtype == np.int64
    assert counts(chosen) == [10, 6, 3, 1]
    assert (np.diff(chosen) > 0).all()


def test_validation_is_not_the_labelled_choice():
    labelled = choose_labelled(Y, 4, label_fraction=0.2, seed=3)
    assert set(choose_validation(Y, 4, 0.2, seed=3)) != set(labelled)


def test_validation_without_labels_and_no_validation():
    chosen = choose_validation(np.full(10, -1, np.int32), 4, 0.3)
    assert len(chosen) == len(set(chosen.tolist())) == 3
    assert choose_validation(Y, 4, 0).tolist() == []
    assert choose_validation(Y, 4, 0).dtype == np.int64


@pytest.mark.parametrize("bad", [100, 1.0e9, -1, -0.5, 1.5, 0.999, 0.001, float("nan")])
def test_impossible_validation(bad):
    with pytest.raises(InputError, match=r"whole number of rows below 100 .* or a fraction"):
        choose_validation(Y, 4, bad)


@pytest.mark.parametrize("bad", ["10", True, None])
def test_validation_of_another_type(bad):
    with pytest.raises(InputError, match="must be a number of rows or a fraction"):
        choose_validation(Y, 4, bad)


def test_fingerprint_sees_shape_dtype_bytes_and_labels(monkeypatch):
    x = np.arange(24, dtype=np.uint8).reshape(4, 6)
    y = np.array([0, 1, 0, -1], np.int32)
    original = splits.fingerprint(x, y)
    assert len(original) == 64
    changed = x.copy()
    changed[3, 5] += 1
    relabelled = y.copy()
    relabelled[3] = 1
    others = [
        splits.fingerprint(changed, y),
        splits.fingerprint(x, relabelled),
        splits.fingerprint(x.reshape(4, 3, 2), y),
        splits.fingerprint(x.view(np.int8), y),
        splits.fingerprint(x[::-1], y),
    ]
    assert len({original, *others}) == 6
    monkeypatch.setattr(checks, "_BLOCK_BYTES", 1)
    assert splits.fingerprint(np.asfortranarray(x), y.astype(">i4")) == original


def make(**changes):
    split = splits.make_split("toy", 5, 3, "ab" * 32, np.array([1, 2]), np.array([0]))
    return {**split, **changes}


def test_split_survives_the_file(tmp_path):
    path = tmp_path / "new" / "split.json"
    splits.save_split(path, make())
    assert splits.load_split(path) == make()
    assert [file.name for file in path.parent.iterdir()] == ["split.json"]


def test_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "split.json"
    splits.save_split(path, make())
    with pytest.raises(TypeError):
        splits.save_split(path, {**make(), "labelled": object()})
    assert splits.load_split(path) == make()
    assert [file.name for file in tmp_path.iterdir()] == ["split.json"]


def test_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "split.json"
    path.write_text("old")
    seen = []
    replace = splits.os.replace

    def watch(source, target):
        seen.append((path.read_text(), json.loads(source.read_text())))
        replace(source, target)

    monkeypatch.setattr(splits.os, "replace", watch)
    splits.save_split(path, make())
    assert seen == [("old", make())]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 1, "name"', "is damaged, it is not JSON"),
        (b"\xff\xfe\x00", "is damaged, it is not JSON"),
        ("[1]", "is not a JSON object"),
        ("{}", "lacks fingerprint, format, labelled, n, name, seed, validation"),
        (make(format=2), "has format 2, this version reads format 1"),
        (make(n=-5), "n is -5"),
        (make(n="5"), "n is '5'"),
        (make(seed=None), "seed is None"),
        (make(name=3), "name is 3"),
        (make(labelled=[5]), r"different rows in 0\.\.4"),
        (make(labelled=[-1]), "different rows"),
        (make(labelled=[1, 1]), "different rows"),
        (make(labelled=[1.5]), "different rows"),
        (make(labelled=[True]), "different rows"),
        (make(labelled="12"), "different rows"),
        (make(validation=[2]), "different rows"),
    ],
)
def test_damaged_split_files_are_refused(tmp_path, content, message):
    path = tmp_path / "split.json"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"(?s)split\.json.*{message}"):
        splits.load_split(path)


def test_missing_split_file(tmp_path):
    with pytest.raises(InputError, match=r"no file .*none\.json"):
        splits.load_split(tmp_path / "none.json")


def test_split_of_other_data_is_refused():
    x, y = np.zeros((5, 2), np.uint8), np.array([0, 1, 0, -1, 1], np.int32)
    right = make(fingerprint=splits.fingerprint(x, y))
    assert splits.check_split(right, y, right["fingerprint"]) == right
    with pytest.raises(InputError, match=r'made from other data \("toy", 5 training rows'):
        splits.check_split(make(), y, right["fingerprint"])
    with pytest.raises(InputError, match="counts rows as labelled that have no label"):
        splits.check_split({**right, "labelled": [3]}, y, right["fingerprint"])
