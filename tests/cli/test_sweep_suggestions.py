"""The settings that a sweep tries: every combination, random draws, and what results teach."""

import json

import numpy as np

from tests.cli.sweeps import SPACE, value_of
from tfssvae.sweep.space import (
    Choices,
    Range,
    parse_space,
    space_from_json,
    space_to_json,
    split_values,
)
from tfssvae.sweep.tuner import suggest


def results(number, of=value_of):
    found = []
    for _ in range(number):
        arguments = suggest(SPACE, found)
        found.append((arguments, of(arguments)))
    return found


def test_values_are_read_as_a_shell_gives_them():
    assert split_values("(1,2),[3,{'a': 4,'b,c': 5}],x y") == [
        "(1,2)",
        "[3,{'a': 4,'b,c': 5}]",
        "x y",
    ]
    space = parse_space(
        ["hidden=(64,64),(8,)", "flag=True,None,relu,0.5"],
        ["a=1:9", "b=1:2.5", "c=1:1e3:log"],
    )
    assert space == {
        "hidden": Choices(([64, 64], [8])),
        "flag": Choices((True, None, "relu", 0.5)),
        "a": Range(1, 9),
        "b": Range(1.0, 2.5),
        "c": Range(1.0, 1000.0, log=True),
    }
    assert [space[name].whole for name in "abc"] == [True, False, False]
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space


def test_a_grid_is_every_combination_with_the_last_argument_fastest():
    space = {"a": Choices((1, 2)), "b": Choices(("x", "y", "z"))}
    tried = []
    for _ in range(6):
        tried.append((suggest(space, tried, "grid"), 0.0))
    pairs = [(arguments["a"], arguments["b"]) for arguments, _ in tried]
    assert pairs == [(1, "x"), (1, "y"), (1, "z"), (2, "x"), (2, "y"), (2, "z")]


def test_a_suggestion_needs_nothing_but_seed_and_results():
    found = results(16)
    for number in (0, 5, 12, 15):
        assert suggest(SPACE, found[:number]) == found[number][0]
        read_again = json.loads(json.dumps(found[:number]))
        assert suggest(SPACE, read_again) == found[number][0]
    assert suggest(SPACE, found[:12], seed=1) != found[12][0]


def test_the_sampler_learns_from_the_results_in_their_direction():
    high, low = (
        np.mean([value_of(arguments) for arguments, _ in results(30, of)[20:]])
        for of in (value_of, lambda arguments: -value_of(arguments))
    )
    assert high > low + 0.05
    found = results(12)
    upside_down = [(arguments, -value) for arguments, value in found]
    assert suggest(SPACE, upside_down, maximize=False) == suggest(SPACE, found)


def test_what_is_drawn_lies_in_its_range_and_is_short():
    for arguments, _ in results(15):
        assert 1e-4 <= arguments["learning_rate"] <= 1e-2
        assert float(f"{arguments['learning_rate']:.4g}") == arguments["learning_rate"]
        assert type(arguments["latent_dim"]) is int
        assert 2 <= arguments["latent_dim"] <= 40


def test_no_setting_is_tried_twice():
    space, tried = {"a": Choices((1, 2, 3)), "b": Range(1, 3)}, []
    for _ in range(9):
        arguments = suggest(space, tried, "random")
        assert arguments not in [before for before, _ in tried]
        tried.append((arguments, 1.0))


def test_random_draws_fill_their_range_evenly():
    drawn = []
    for _ in range(200):
        drawn.append((suggest({"a": Range(0.0, 1.0)}, drawn, "random"), None))
    counts, _ = np.histogram([arguments["a"] for arguments, _ in drawn], 5, (0, 1))
    # 40 are expected in each fifth, with a standard deviation of 5.7.
    assert len({arguments["a"] for arguments, _ in drawn}) == 200
    np.testing.assert_allclose(counts, 40, atol=17)


def test_failed_trials_are_no_results():
    found = results(10)
    good, bad = ({"learning_rate": rate, "latent_dim": 20, "hidden": [16]} for rate in (1e-3, 5e-3))
    one, other = (suggest(SPACE, [*found, *[(tried, None)] * 5]) for tried in (good, bad))
    assert one == other
    assert one != suggest(SPACE, [*found, *[(good, 9.0)] * 5])
