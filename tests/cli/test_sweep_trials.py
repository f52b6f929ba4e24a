"""Trials of a sweep without training: what is chosen, and what ends or interrupts them."""

import json
import math
import re
import sys

import numpy as np
import pytest

from tests.cli.sweeps import SPACE, content, value_of
from tfssvae import runs
from tfssvae.checks import DivergenceError, InputError
from tfssvae.runs.lock import claimed
from tfssvae.sweep.run import sweep
from tfssvae.sweep.space import Choices
from tfssvae.sweep.trials import Settings, read_sweep


def settings(**changes):
    basis = {
        "train": {"method": "m2"},
        "space": SPACE,
        "seeds": (0, 1),
        "trials": 14,
        "sampler": "tpe",
        "sampler_seed": 0,
        "objective": "val_accuracy",
        "direction": "maximize",
    }
    return Settings(**{**basis, **changes})


@pytest.fixture
def fake(monkeypatch):
    """Stand in for training: `value_of`, with what is called and where it is to end."""

    class Fake:
        def __init__(self):
            self.calls, self.interrupt_at, self.fails = [], None, ()

        def __call__(self, folder, config, say):
            place = f"{folder.parent.name}/{folder.name}"
            self.calls.append(place)
            say("test accuracy 99%", event="done", test={"accuracy": 0.99})
            if len(self.calls) == self.interrupt_at:
                raise KeyboardInterrupt
            if place in self.fails:
                raise DivergenceError("training diverged")
            figure = value_of(config["arguments"], config["seed"])
            metrics = {
                "history": {"val_accuracy": [2.0, figure]},
                "seconds": 1.5,
                "test": {"accuracy": 0.5 + config["seed"] / 10, "recall": {"0": 1.0}},
                "environment": {},
            }
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text(json.dumps(metrics))
            return metrics

    fake = Fake()
    monkeypatch.setattr(runs, "complete_run", fake)
    return fake


def run_sweep(folder, asked, say=lambda line, **fields: None):
    def configure(arguments, seed):
        return {"arguments": dict(arguments), "seed": seed}

    return sweep(folder, asked, configure, lambda *_: "tfssvae train m2", say)


def test_the_best_mean_over_seeds_is_chosen_and_only_its_test_figures_are_told(fake, tmp_path):
    printed = []
    chosen = run_sweep(tmp_path / "a", settings(), lambda text, **_: printed.append(text))
    trials = json.loads((tmp_path / "a" / "sweep.json").read_text())["trials"]
    means = [value_of(trial["arguments"]) + 0.005 for trial in trials]
    assert [trial["mean"] for trial in trials] == pytest.approx(means)
    # Two values 0.01 apart: the standard error is half of that.
    assert [trial["standard_error"] for trial in trials] == pytest.approx([0.005] * 14)
    assert chosen["trial"] == int(np.argmax(means))
    assert chosen["test"]["accuracy"]["mean"] == pytest.approx(0.55)
    assert chosen["test"]["accuracy"]["standard_error"] == pytest.approx(0.05)
    text = "\n".join(printed)
    assert re.findall(r"test accuracy of .*", text) == [
        f"test accuracy of trial-{chosen['trial']:03d}: 0.5500 ± 0.0500"
    ]
    rows = [int(row.split("|")[1]) for row in text.splitlines() if re.match(r"\| \d", row)]
    assert rows == sorted(range(14), key=lambda n: -means[n])
    assert "99%" not in text
    worst = run_sweep(tmp_path / "b", settings(direction="minimize", sampler="random"))
    trials = json.loads((tmp_path / "b" / "sweep.json").read_text())["trials"]
    assert worst["trial"] == int(np.argmin([trial["mean"] for trial in trials]))


@pytest.mark.parametrize("interrupt_at", [1, 2, 25])
def test_an_interruption_changes_nothing(interrupt_at, fake, tmp_path):
    run_sweep(tmp_path / "whole", settings())
    whole, fake.calls = list(fake.calls), []
    fake.interrupt_at, printed = interrupt_at, []
    with pytest.raises(KeyboardInterrupt):
        run_sweep(tmp_path / "cut", settings(), lambda text, **_: printed.append(text))
    assert printed[-1] == f"to continue: tfssvae sweep --resume {tmp_path / 'cut'}"
    assert json.loads((tmp_path / "cut" / "sweep.json").read_text())["chosen"] is None
    fake.interrupt_at = None
    asked, _ = read_sweep(tmp_path / "cut")
    run_sweep(tmp_path / "cut", asked)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert fake.calls == whole[:interrupt_at] + whole[interrupt_at - 1 :]


def test_a_trial_that_fails_is_reported_and_stops_nothing(fake, tmp_path):
    fake.fails = {"trial-000/seed-0", "trial-002/seed-1"}
    printed = []
    run_sweep(tmp_path / "a", settings(trials=4), lambda text, **_: printed.append(text))
    trials = json.loads((tmp_path / "a" / "sweep.json").read_text())["trials"]
    assert [trial["failed"] for trial in trials] == ["training diverged", None] * 2
    assert [trial["mean"] is None for trial in trials] == [True, False, True, False]
    assert "trial-000/seed-1" not in fake.calls
    assert "trial-000 failed with seed 0: training diverged" in printed
    assert "| failed: training diverged |" in "\n".join(printed)
    calls = list(fake.calls)
    run_sweep(tmp_path / "a", settings(trials=4))
    assert fake.calls == calls, "what failed would fail again"
    fake.fails = {f"trial-{n:03d}/seed-0" for n in range(3)}
    with pytest.raises(InputError, match="every trial failed, such as trial-000: training div"):
        run_sweep(tmp_path / "b", settings(trials=3))


def test_a_figure_that_is_no_number_fails(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "value_of", lambda *_: math.nan)
    with pytest.raises(InputError, match="val_accuracy of the last epoch is nan"):
        run_sweep(tmp_path, settings(trials=2))


def test_other_settings_are_refused_saying_how_they_differ(fake, tmp_path):
    run_sweep(tmp_path, settings(trials=3))
    for changes, message in (
        ({"seeds": (0,)}, r"seeds: \[0, 1\] then, \[0\] now"),
        ({"train": {"method": "adgm"}}, "method: m2 then, adgm now"),
        (
            {"space": {**SPACE, "hidden": Choices((1,))}},
            r"values of hidden: \[16\], \[32, 32\] then, 1 now",
        ),
        ({"trials": 2}, "trials: 3 were begun, 2 are asked for"),
        ({"objective": "val_loss"}, "objective: val_accuracy then, val_loss now"),
    ):
        with pytest.raises(InputError, match=message):
            run_sweep(tmp_path, settings(**{"trials": 3, **changes}))
    before = content(tmp_path)["trials"]
    run_sweep(tmp_path, settings(trials=5))
    assert content(tmp_path)["trials"][:3] == before, "more trials may follow"
    assert len(content(tmp_path)["trials"]) == 5


def test_one_process_at_a_time_and_no_foreign_folder(fake, tmp_path):
    with claimed(tmp_path / "a"), pytest.raises(InputError, match="another process"):
        run_sweep(tmp_path / "a", settings(trials=1))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds something else"):
        run_sweep(tmp_path / "b", settings(trials=1))
    assert fake.calls == []
