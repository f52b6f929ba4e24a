"""What is no label, in every form that users bring, and where it may stand."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tfssvae
from tfssvae import evaluation
from tfssvae.checks import InputError, check_images, check_labels, check_probabilities
from tfssvae.data import from_arrays, load
from tfssvae.missing_labels import read_labels

WHOLE = [1, 0, None, 1]
TEXT = ["b", "a", None, "b"]
MASK = [False, False, True, False]
INTEGERS = {
    "list": WHOLE,
    "tuple": tuple(WHOLE),
    "objects": np.array(WHOLE, object),
    "objects with NaN": np.array([1, 0, np.nan, 1], object),
    "objects with NaT": np.array([1, 0, pd.NaT, 1], object),
    "masked": np.ma.array([1, 0, 7, 1], mask=MASK),
    "masked uint8": np.ma.array(np.array([1, 0, 255, 1], np.uint8), mask=MASK),
    "pandas Int64": pd.Series(WHOLE, dtype="Int64"),
    "pandas UInt8": pd.Series(WHOLE, dtype="UInt8"),
    "pandas arrow": pd.Series(WHOLE, dtype="int64[pyarrow]"),
    "pandas categories": pd.Series(WHOLE, dtype="category"),
    "pandas objects": pd.Series(WHOLE, dtype="object"),
    "pandas frame": pd.DataFrame({"y": pd.Series(WHOLE, dtype="Int64")}),
    "polars": pl.Series(WHOLE),
    "polars UInt8": pl.Series(WHOLE, dtype=pl.UInt8),
    "polars frame": pl.DataFrame({"y": WHOLE}),
    "objects (n, 1)": np.array(WHOLE, object)[:, None],
}
FLOATS = {
    "array": np.array([1, 0, np.nan, 1]),
    "float16": np.array([1, 0, np.nan, 1], np.float16),
    "list": [1.0, 0.0, float("nan"), 1.0],
    "masked": np.ma.array([1.0, 0.0, 2.5, 1.0], mask=MASK),
    "pandas": pd.Series([1, 0, np.nan, 1]),
    "polars": pl.Series([1.0, 0.0, None, 1.0]),
    "(n, 1)": np.array([[1], [0], [np.nan], [1]]),
}
BOOLS = {
    "list": [True, False, None, True],
    "pandas": pd.Series([True, False, None, True], dtype="boolean"),
    "polars": pl.Series([True, False, None, True]),
    "masked": np.ma.array([True, False, True, True], mask=MASK),
}
TEXTS = {
    "list": TEXT,
    "objects": np.array(TEXT, object),
    "list with NaN": ["b", "a", float("nan"), "b"],
    "masked": np.ma.array(["b", "a", "c", "b"], mask=MASK),
    "pandas": pd.Series(TEXT),
    "pandas string": pd.Series(TEXT, dtype="string"),
    "pandas arrow": pd.Series(TEXT, dtype="string[pyarrow]"),
    "pandas categories": pd.Series(TEXT, dtype="category"),
    "polars": pl.Series(TEXT),
    "polars categories": pl.Series(TEXT, dtype=pl.Categorical),
}
NUMBERS = {
    f"{kind}, {form}": y
    for kind, forms in [("whole", INTEGERS), ("float", FLOATS), ("bool", BOOLS)]
    for form, y in forms.items()
}
X = np.linspace(0, 1, 8).reshape(4, 2)


@pytest.mark.parametrize("form", NUMBERS)
def test_missing_labels_of_data_are_no_labels(form):
    data = from_arrays(X, NUMBERS[form], X, NUMBERS[form])
    np.testing.assert_array_equal(data.hidden_labels, [1, 0, -1, 1])
    np.testing.assert_array_equal(data.y_test, [1, 0, -1, 1])
    assert data.class_names == ("0", "1")
    assert data.unlabelled_indices.tolist() == [2]


@pytest.mark.parametrize("form", NUMBERS)
def test_measures_and_models_refuse_missing_labels_and_name_minus_one(form):
    message = r"missing \(None, NaN or masked\), the first at y\[2\]: write -1"
    with pytest.raises(InputError, match=message):
        check_labels(NUMBERS[form], 2)
    with pytest.raises(InputError, match=r"labels has 1 label that is missing .*write -1 where"):
        evaluation.error_rate(np.full((4, 2), 0.5), NUMBERS[form])


@pytest.mark.parametrize("form", INTEGERS)
def test_whole_numbers_stay_whole(form):
    labels, missing = read_labels(INTEGERS[form])
    assert labels.dtype.kind in "iu"
    assert missing.ravel().tolist() == MASK
    assert labels.ravel()[~missing.ravel()].tolist() == [1, 0, 1]


def test_forms_without_a_missing_label():
    for y in (pl.Series([1, 0], dtype=pl.UInt8), pd.Series([1, 0], dtype="uint8")):
        labels, missing = read_labels(y)
        assert labels.dtype == np.uint8
        assert not missing.any()
    labels, missing = read_labels(["a", -1])
    assert labels.tolist() == ["a", -1]  # numpy would make "-1" of it
    assert read_labels(np.array([0.5, np.inf]))[1].tolist() == [False, False]
    assert read_labels([None, None])[1].all()
    assert from_arrays(X, [None] * 4, num_classes=2).unlabelled_indices.tolist() == [0, 1, 2, 3]


def test_missing_labels_of_a_file(tmp_path):
    y = np.array([1, 0, np.nan, 1])
    np.savez(tmp_path / "toys.npz", x_train=X, y_train=y, x_test=X, y_test=y)
    data = load(tmp_path / "toys.npz")
    np.testing.assert_array_equal(data.hidden_labels, [1, 0, -1, 1])
    np.testing.assert_array_equal(data.y_test, [1, 0, -1, 1])


@pytest.mark.parametrize(
    ("y", "num_classes", "unlabelled", "message"),
    [
        ([0, None], 2, False, r"y has 1 label that is missing .* y\[1\]: leave these rows out"),
        (np.array([[0, 1], [np.nan, np.nan]]), 2, True, r"2 labels that are missing .*y\[1, 0\]: "),
        (np.ma.array([[0, 1], [1, 0]], mask=[[0, 0], [1, 1]]), 2, True, "one integer per example"),
    ],
)
def test_missing_labels_that_cannot_be_read_are_refused(y, num_classes, unlabelled, message):
    with pytest.raises(InputError, match=message):
        check_labels(y, num_classes, allow_unlabelled=unlabelled, allow_missing=True)


def test_masked_values_are_refused():
    x = np.ma.array(X, mask=X > 0.9)
    message = r"x has 1 masked value, the first at x\[3, 1\]: put numbers in their place"
    with pytest.raises(InputError, match=message):
        check_images(x)
    with pytest.raises(InputError, match="x_train has 1 masked value"):
        from_arrays(x, [0, 1, 0, 1])
    with pytest.raises(InputError, match=r"probs has 2 masked values, the first at probs\[0, 0\]"):
        check_probabilities(np.ma.array([[0.5, 0.5]], mask=True))
    probs = np.ma.array([[0.5, 0.5], [1.0, 0.0]], mask=[[0, 0], [0, 1]])
    with pytest.raises(InputError, match="probs has 1 masked value"):
        evaluation.confusion_matrix([0, 1], probs, num_classes=2)
    assert check_images(np.ma.array(X)).shape == (4, 2)  # with nothing masked


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("num_classes", [None, 2, 1000])
def test_minus_one_that_an_unsigned_dtype_wrapped_is_named(dtype, num_classes):
    y = np.array([0, 1, -1, -1]).astype(dtype)
    largest = np.iinfo(dtype).max
    message = rf"the label {largest} in 2 of 4 rows, which is what {np.dtype(dtype)} makes of -1"
    with pytest.raises(InputError, match=message) as caught:
        from_arrays(X, y, num_classes=num_classes)
    line = re.search(r"write (.*?); if \d+ is a class", str(caught.value))[1]
    scope = {"numpy": np, "y_train": y}
    exec(line, scope)  # the line that the message gives
    assert from_arrays(X, scope["y_train"]).hidden_labels.tolist() == [0, 1, -1, -1]


def test_the_largest_number_of_an_unsigned_dtype_may_be_a_class():
    y = np.array([0, 255], np.uint8)
    with pytest.raises(InputError, match="if 255 is a class, the first of the two is enough"):
        from_arrays(X[:2], y, num_classes=256)
    data = from_arrays(X[:2], np.asarray(y, int), num_classes=256)
    assert data.hidden_labels.tolist() == [0, 255]
    assert check_labels(np.array([0, 127], np.int8), 128).tolist() == [0, 127]


GAPS = {
    "from 1": ([1, 2, -1, 2], [0, 1, -1, 1], ("0", "1")),
    "from 1, uint8": (np.array([1, 2, 1, 2], np.uint8), [0, 1, 0, 1], ("0", "1")),
    "from 1, with None": ([1, 2, None, 2], [0, 1, -1, 1], ("0", "1")),
    "from 1, masked": (np.ma.array([1, 2, 3, 2], mask=MASK), [0, 1, -1, 1], ("0", "1")),
    "years": (np.array([2001, 1990, -1, 2001]), [1, 0, -1, 1], ("1990", "2001")),
    "years as floats": ([2001.0, 1990.0, -1.0, 2001.0], [1, 0, -1, 1], ("1990.0", "2001.0")),
    "years with NA": (
        pd.Series([2001, 1990, None, 2001], dtype="Int64"),
        [1, 0, -1, 1],
        ("1990", "2001"),
    ),
    "years (n, 1)": (np.array([[2001], [1990], [-1], [2001]]), [1, 0, -1, 1], ("1990", "2001")),
    "a hole": ([0, 1, 3, -1], [0, 1, 2, -1], ("0", "1", "3")),
}


@pytest.mark.parametrize("form", GAPS)
@pytest.mark.parametrize("with_test", [True, False])
def test_gaps_between_labels_are_refused_with_a_line_that_numbers_the_classes(form, with_test):
    y, expected, names = GAPS[form]
    tests = (X, y) if with_test else ()
    with pytest.raises(InputError, match=r"numbered 0, 1, 2, \.\.\.: write ") as caught:
        from_arrays(X, y, *tests)
    message = str(caught.value)
    line = re.search(r"write (.*?)( and give class_names=names)?; if the other", message)
    scope = {"tfssvae": tfssvae, "y_train": y, "y_test": y}
    exec(line[1], scope)
    tests = (X, scope["y_test"]) if with_test else ()
    data = from_arrays(X, scope["y_train"], *tests, class_names=scope["names"] if line[2] else None)
    assert data.hidden_labels.tolist() == expected
    assert data.class_names == names
    if with_test:
        assert data.y_test.tolist() == expected
    largest = re.search(r"num_classes=(\d+)", message)[1]
    assert from_arrays(X, y, num_classes=int(largest)).num_classes == int(largest)


def test_gaps_are_those_of_training_and_test_data_together():
    assert from_arrays(X, [0, 1, 3, -1], X, [2, 2, 2, -1]).num_classes == 4
    with pytest.raises(InputError, match=r"arrays has the labels 0, 1, 4 and none of 2, and class"):
        from_arrays(X, [0, 1, 1, -1], X, [4, 4, -1, -1])
    with pytest.raises(InputError, match=r"the labels 10, 20, 30, 40, 50, \.\.\. and none of 0"):
        from_arrays(np.zeros((6, 2)), np.arange(10, 61, 10))


def test_gaps_in_a_file_are_refused_by_its_name(tmp_path):
    np.savez(tmp_path / "toys.npz", x_train=X, y_train=[1, 2, 2, -1])
    with pytest.raises(InputError, match=r"toys has .* classes=\[1, 2\] \(--num-classes 3"):
        load(tmp_path / "toys.npz")
    assert load(tmp_path / "toys.npz", num_classes=3).classes_without_labels == ("0",)
    chosen = load(tmp_path / "toys.npz", num_classes=3, classes=[1, 2])
    assert chosen.hidden_labels.tolist() == [0, 1, 1]


def test_classes_numbered_from_1_are_named_where_their_number_is_known():
    with pytest.raises(InputError, match=r"labels 2, first at y\[1\].*from 1, subtract 1"):
        check_labels([1, 2, -1], 2)
    with pytest.raises(InputError) as caught:
        check_labels([0, 2, -1], 2)
    assert "subtract" not in str(caught.value)


MARKED_TEXTS = {
    **TEXTS,
    "list with -1": ["b", "a", -1, "b"],
    "objects with -1": np.array(["b", "a", -1, "b"], object),
    "-1 as text": np.array(["b", "a", "-1", "b"]),
    "empty text": ["b", "a", "", "b"],
    "(n, 1)": np.array([["b"], ["a"], [""], ["b"]]),
}


@pytest.mark.parametrize("form", MARKED_TEXTS)
def test_text_labels_are_refused_with_a_line_that_keeps_unlabelled_rows(form):
    y = MARKED_TEXTS[form]
    with pytest.raises(InputError, match=r"y_train has labels that are text \('a', 'b'") as caught:
        from_arrays(X, y)
    line = re.search(r"write (.*) and give class_names=names", str(caught.value))[1]
    scope = {"numpy": np, "y_train": y}
    exec(line, scope)
    data = from_arrays(X, scope["y_train"], class_names=scope["names"])
    assert data.hidden_labels.tolist() == [1, 0, -1, 1]
    assert data.class_names == ("a", "b")


def test_a_class_without_a_training_row_is_named_in_the_summary():
    names = ["no", "yes", "maybe"]
    known = from_arrays(X, [0, 1, 0, 1], class_names=names, labels_per_class={0: 1})
    assert "classes without labels: yes, maybe" in known.summary()
    assert known.summary().endswith("classes without a training row: maybe")
    # Rows whose class nobody knows may be of it.
    unknown = from_arrays(X, [0, 1, -1, -1], class_names=names)
    assert "training row" not in unknown.summary()
