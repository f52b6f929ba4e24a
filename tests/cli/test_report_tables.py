"""Counts of classes, the command that makes a run again, and what is said of the labels."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

from tfssvae import data
from tfssvae.cli.parser import make_parser
from tfssvae.cli.train import _model_arguments, configuration
from tfssvae.regularizers import MIER
from tfssvae.report.measures import MEASURES, measure_of
from tfssvae.report.run import Run
from tfssvae.report.tables import balance, class_table, figures_table
from tfssvae.runs.command import command_of

IN_NO_FIGURES_TABLE = {
    *("labels_alone", "labelled_bound", "kl_to_prior", "negative_ssim", "seconds"),
}
LABELS = [0] * 6 + [1] * 3 + [-1]
NAMES = ["cat", "$dog", "none"]


def loaded(**changes):
    values = {"x": np.zeros((10, 4)), "y": LABELS, "class_names": NAMES, "num_classes": 3}
    return data.from_arrays(**{**values, **changes})


def run_of(found, figures=None):
    return Run(Path("/x"), "M2", {}, {}, None, found, None, None, figures or {})


def test_every_part_is_counted_class_by_class():
    y_test = [1, 1, -1, 0]
    found = loaded(x_test=np.zeros((4, 4)), y_test=y_test, labels_per_class={0: 2, 1: 1})
    figures = {
        "recall": {"cat": 1.0, "$dog": 0.5, "none": 0.0},
        "counts": {"cat": 1, "$dog": 2, "none": 0},
        "accuracy": 2 / 3,
    }
    table = class_table(run_of(found, figures))
    assert table.head == ("class", "labels shown", "unlabelled", "test", "recall (test)")
    assert table.rows == [
        ("cat", "2", "4", "1", "100.0%"),
        ("$dog", "1", "2", "2", "50.0%"),
        ("none", "0", "0", "0", "-"),
        ("(not known)", "0", "1", "1", "-"),
        ("all", "3", "7", "4", "66.7%"),
    ]
    assert len(class_table(run_of(found)).head) == 4


def test_of_many_classes_those_with_the_fewest_labels_are_listed():
    y = np.concatenate([np.arange(50), np.arange(10)])  # the first ten classes have two each
    table = class_table(run_of(loaded(x=np.zeros((60, 4)), y=y, class_names=None, num_classes=50)))
    assert [row[0] for row in table.rows[:-1]] == [str(k) for k in range(10, 50)]
    assert table.rows[-1] == ("all", "60")


def test_one_number_has_one_name_in_a_report_and_in_a_comparison():
    keys = {measure.key for measure in MEASURES} - IN_NO_FIGURES_TABLE
    keys |= {"log_likelihood_5000", "kl_z2", "active_units_z2"}
    figures = {**dict.fromkeys(keys, 0.5), "unlabelled_bound_std": 1.0}
    names = [row[0] for row in figures_table([run_of(loaded(), figures)]).rows]
    assert len(names) == len(keys)
    more = r"( \(at most .*\)|: mean ± deviation over examples)?"
    for key in keys:
        title = re.escape(measure_of(key).title)
        assert sum(bool(re.fullmatch(title + more, name)) for name in names) == 1


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({0: 2, 1: 2}, "Classes have from 0 labels (none) to 2 (cat): 1 of 3 have none."),
        ({}, "No label was shown: the model groups the examples by itself."),
    ],
)
def test_how_even_the_labels_are_is_said(labels, expected):
    assert balance(loaded(labels_per_class={0: 0, **labels})) == expected


def test_balance_of_labels_in_every_class():
    two = {"class_names": NAMES[:2], "num_classes": 2}
    assert balance(loaded(labels_per_class=2, **two)).startswith("Every class has 2 labels")
    uneven = "Classes have from 3 labels ($dog) to 6 (cat): 2.0 times as many."
    assert balance(loaded(**two)) == uneven


def config(**changes):
    source = {"name": "a b.npz", "labels_per_class": 5, "label_fraction": None, "seed": 3}
    source |= {"grey": True, "image_size": [8, 8], "validation": 0, "unfeatured": None}
    base = {"method": "m2", "model": {"latent_dim": 3, "hidden": [4, 5]}, "epochs": 2}
    base |= {"labelled": 0, "unlabelled": 50, "unfeatured": 0, "learning_rate": 0.002}
    base |= {"driver": "loop", "precision": "float32", "checkpoint_seconds": 30.0, "tfssvae": "1"}
    base |= {"checkpoints": 2, "on_divergence": "roll_back"}
    return {**base, "data": source, **changes}


def test_the_command_says_what_the_run_was_told():
    words = shlex.split(command_of(config(), Path("/x")))
    assert words[0] == "tfssvae"
    options = make_parser().parse_args(words[1:])
    assert (options.method, options.data, options.seed) == ("m2", "a b.npz", 3)
    assert (options.labelled, options.unlabelled, options.learning_rate) == (0, 50, 0.002)
    assert options.on_divergence == "roll-back"
    assert (options.grey, options.image_size) == (True, [8, 8])
    assert _model_arguments(options) == {"latent_dim": 3, "hidden": [4, 5]}


def test_a_command_is_the_command_of_its_configuration():
    given = ["train", "untapped", "--data", "a b.npz", "--label-fraction", "0.1", "--grey"]
    given += ["--validation", "0.2", "--image-size", "8", "8", "--binarize", "round", "--seed", "3"]
    given += ["--background", "128", "0", "255"]
    given += ["--labelled-classes", "one", "two", "--clusters", "12", "--data-dir", "a dir"]
    given += ["--epochs", "7", "--labelled", "10", "--unlabelled", "20", "--unfeatured", "30"]
    given += ["--learning-rate", "1", "--driver", "fit", "--precision", "mixed_float16"]
    given += ["--replicas", "2", "--on-divergence", "roll-back", "--set", "hidden=[4, 5]"]
    asked = make_parser().parse_args(given)
    words = shlex.split(command_of(configuration(asked, asked.seed), Path("/x")))
    again = make_parser().parse_args(words[1:])
    assert vars(again) | {"parser": None} == vars(asked) | {"parser": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"regularizers": keras.saving.serialize_keras_object([MIER()])}},
        {"optimizer": {"class_name": "SGD", "config": {}}},
        {"learning_rate": {"class_name": "ExponentialDecay", "config": {}}},
        {"data": {"name": "digits", "labels_per_class": {"0": 1}, "seed": 0}},
        {"default_weights": "paper"},
    ],
)
def test_what_no_option_says_is_started_from_its_configuration(changes):
    command = command_of(config(**changes), Path("/x y/it's"))
    python, dash, code = shlex.split(command)
    assert (python, dash) == ("python", "-c")
    compile(code, "command", "exec")
    assert "/x y/it's/config.json" in code
