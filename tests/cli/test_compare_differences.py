"""Differences between groups of runs as `tfssvae compare` words them."""

import pytest

from tfssvae.report import compare as page_of_comparison
from tfssvae.report import comparison
from tfssvae.report.groups import Group
from tfssvae.report.measures import measure_of


def test_measures_are_called_as_people_call_them():
    assert measure_of("kl_z2").title == "KL of z2 from its prior, nats"
    assert measure_of("something_new").title == "something new"


@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [
        ("accuracy", (-0.01, 0.005, (-0.02, 0.0)), "-1.00 ± 0.50 [-2.00, 0.00] points"),
        ("accuracy", (-3e-4, 4e-5, (-4e-4, -1e-4)), "-0.0300 ± 0.0040 [-0.0400, -0.0100] points"),
        ("log_loss", (-0.26, 0.12, (-0.77, 0.25)), "-0.26 ± 0.12 [-0.77, +0.25]"),
        ("unlabelled_bound", (-1e-4, 0.03, (-0.1, 0.1)), "0.000 ± 0.030 [-0.100, +0.100]"),
        ("seconds", (2340.4, 123.4, (0.4, 4680.4)), "+2340 ± 123 [0, +4680]"),
        ("accuracy", (0.0, 0.0, (0.0, 0.0)), "0.00 points"),
        ("something_new", (0.0, None, None), "0"),
        ("log_loss", (0.5, None, None), "+0.5000"),
        ("log_loss", (-1e-6, None, None), "-0.0000010"),
        ("accuracy", (0.01, 0.0, (0.01, 0.01)), "+1.00 ± 0.00 [+1.00, +1.00] points"),
    ],
)
def test_a_difference_has_the_digits_of_its_standard_error(key, found, expected):
    assert measure_of(key).difference(*found) == expected


@pytest.mark.parametrize(
    ("key", "other", "is_left_out"),
    [
        ("seconds", {0: 3.0, 1: 9.0}, True),
        ("labels_alone", {0: 0.5, 1: 0.75}, True),
        ("labels_alone", {0: 0.25, 1: 1.0}, False),  # of another mean, or of one: other classifiers
        ("accuracy", {0: 0.5, 1: 0.75}, False),
    ],
)
def test_what_no_setting_decides_has_no_interval(key, other, is_left_out):
    row = comparison.Row(measure_of(key), [{0: 0.5, 1: 0.75}, other])
    groups = [Group(name, {}, []) for name in "ab"]
    found = comparison.Comparison(groups, {}, [row])
    assert page_of_comparison.figures_table(found).rows
    assert bool(page_of_comparison.differences_table(found).rows) != is_left_out
