"""`tfssvae sweep`: what is tried, what is chosen, and that an interruption changes nothing."""

import json
import math
import os
import random
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from tfssvae import runs
from tfssvae.checks import DivergenceError, InputError
from tfssvae.cli import main
from tfssvae.cli.parser import make_parser
from tfssvae.cli.settings import settings_parser, train_command, with_arguments
from tfssvae.cli.sweep import settings_of_sweep
from tfssvae.cli.train import configuration
from tfssvae.runs.lock import claimed
from tfssvae.sweep.run import sweep
from tfssvae.sweep.space import (
    Choices,
    Range,
    parse_space,
    space_from_json,
    space_to_json,
    split_values,
)
from tfssvae.sweep.trials import Settings, read_sweep
from tfssvae.sweep.tuner import suggest

SPACE = {
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "latent_dim": Range(2, 40),
    "hidden": Choices(([16], [32, 32])),
}
BASE = ["sweep", "m2", "--data", "digits", "--labels-per-class", "5", "--validation", "200"]


NO_LABELS = ["--labels-per-class", "0"]


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


def value_of(arguments, seed=0):
    """Return a figure with one best setting, (1e-3, 20, [32, 32])."""
    distance = abs(math.log10(arguments["learning_rate"]) + 3)
    distance += abs(arguments["latent_dim"] - 20) / 20 + (arguments["hidden"] == [16])
    return 1 - distance / 10 + seed / 100


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


def test_the_options_of_a_trial_and_its_command_are_the_same():
    given = ["m2", "--data", "a b.npz", "--grey", "--validation", "0.2", "--image-size", "8", "8"]
    given += ["--set", "hidden=(8,)", "--set", "weights={'*_kl_z': 2.0, 'classification': 3}"]
    given += ["--regularizer", "mier:gamma=2,beta=1", "--regularizer", "mixup"]
    options = settings_parser().parse_args(given)
    arguments = {
        "latent_dim": 5,
        "weights.*_kl_z": 0.5,
        "mier.beta": 7,
        "learning_rate": 0.01,
        "unlabelled": 50,
        "likelihood": "gaussian",
        "prior": [1, "2"],
    }
    chosen = with_arguments(options, arguments)
    assert chosen.learning_rate == 0.01
    assert chosen.regularizer == ["mier:gamma=2,beta=7", "mixup"]
    assert chosen.set == [
        "hidden=(8,)",
        "latent_dim=5",
        "likelihood=gaussian",
        "prior=[1, '2']",
        "weights={'*_kl_z': 0.5, 'classification': 3}",
    ]
    assert options == settings_parser().parse_args(given), "the options themselves stay"
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {train_command(chosen, 7)}"],
        capture_output=True,
        text=True,
        check=True,
    )
    *words, option, seed = words.stdout.splitlines()
    assert (option, seed) == ("--seed", "7")
    assert settings_parser().parse_args(words[2:]) == chosen


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


def content(folder):
    """Return sweep.json without what differs between equal sweeps."""
    found = json.loads((folder / "sweep.json").read_text())
    for trial in found["trials"]:
        trial.pop("seconds")
    return {name: found[name] for name in ("settings", "trials", "chosen")}


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--validation", "0", "--grid", "latent_dim=1,2"], "--validation 0.1"),
        ([], "name what to sweep"),
        (["--grid", "latent_dim"], "--grid takes ARGUMENT=VALUE"),
        (["--grid", "latent_dim=2,2"], "stands there twice"),
        (["--grid", "latent_dim=1,2", "--range", "latent_dim=1:3"], "swept twice"),
        (["--range", "latent_dim=3:1", "--trials", "2"], "3 is not below 1"),
        (["--range", "learning_rate=0:1:log", "--trials", "2"], "begins above 0"),
        (["--range", "latent_dim=1:x", "--trials", "2"], "--range takes ARGUMENT=LOW:HIGH"),
        (["--range", "latent_dim=1:9"], "needs --trials"),
        (["--range", "latent_dim=1:9", "--trials", "10"], "there are only 9 settings"),
        (["--range", "latent_dim=1:9", "--sampler", "grid"], "use --grid"),
        (["--grid", "latent_dm=1,2"], 'did you mean "latent_dim"'),
        (["--grid", "mier.beta=1,2"], "--regularizer mier"),
        (["--grid", "mier.bta=1,2", "--regularizer", "mier"], 'did you mean "beta"'),
        (["--grid", "latent_dim=1,2", "--set", "latent_dim=3"], "leave one of them out"),
        (["--grid", "latent_dim=1,2", "--objective", "accuracy"], "no figure of validation data"),
        (["--grid", "latent_dim=1,2", "--objective", "val_acuracy"], 'mean "val_accuracy"'),
        (["--grid", "latent_dim=1,2", "--objective", "val_monitor/entropy"], "give a direction"),
        (["--grid", "latent_dim=1,2", "--on-divergence", "roll-back"], "leave out --on-divergence"),
        (["--grid", "latent_dim=1,2", *NO_LABELS, "--objective", "val_accuracy"], "needs labels"),
        (["--resume", "nowhere"], "leave out --out, METHOD, --data"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, message, tmp_path, capsys):
    assert main([*BASE, *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "objective"), [([], "val_accuracy"), (NO_LABELS, "val_monitor/unlabelled_bound")]
)
def test_without_labels_the_bound_is_compared(labels, objective):
    options = make_parser().parse_args([*BASE, *labels, "--grid", "latent_dim=2,3"])
    asked = settings_of_sweep(options)
    assert (asked.objective, asked.direction, asked.trials) == (objective, "maximize", 2)


def test_a_missing_package_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    sampled = ["--range", "latent_dim=1:9", "--trials", "2"]
    assert main([*BASE, *sampled, "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'tfssvae[sweep]'" in capsys.readouterr().err


SMALL = ["--set", "hidden=(4,)", "--epochs", "2", "--grid", "latent_dim=0,2", "--seeds", "1", "0"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    assert main([*BASE, *SMALL, "--out", str(folder)]) == 0
    return folder


def test_runs_of_a_sweep_are_run_folders(swept, capsys):
    chosen = content(swept)["chosen"]
    assert chosen["trial"] == 1
    assert "latent_dim=0" in content(swept)["trials"][0]["failed"]
    for seed in (0, 1):
        folder = swept / "trial-001" / f"seed-{seed}"
        assert runs.read_config(folder)["data"]["seed"] == seed
        metrics = runs.read_metrics(folder)
        trial = content(swept)["trials"][1]
        assert trial["values"][str(seed)] == metrics["history"]["val_accuracy"][-1]
        assert chosen["test"]["accuracy"]["per_seed"][str(seed)] == metrics["test"]["accuracy"]
    assert chosen["command"] == (
        "tfssvae train m2 --data digits --labels-per-class 5 --validation 200 --epochs 2 "
        "--set 'hidden=(4,)' --set latent_dim=2 --seed 1"
    )
    options = make_parser().parse_args(shlex.split(chosen["command"])[1:])
    again = json.loads(json.dumps(configuration(options, options.seed)))
    config = runs.read_config(swept / "trial-001" / "seed-1")
    for name in ("method", "data", "model", "epochs", "learning_rate", "driver", "precision"):
        assert again[name] == config[name]
    capsys.readouterr()
    assert main(["sweep", "--json", "--resume", str(swept)]) == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert json.loads(line)["test"] == chosen["test"]


def written(folder):
    """Return tag -> message of the HPARAMS tab in the event files right under a folder."""
    events = EventAccumulator(str(folder))
    events.Reload()
    found = events.PluginTagToContent(metadata.PLUGIN_NAME)
    return {tag: plugin_data_pb2.HParamsPluginData.FromString(m) for tag, m in found.items()}


def test_tensorboard_is_told_settings_end_and_figures(swept):
    experiment = written(swept / "hparams")[metadata.EXPERIMENT_TAG].experiment
    assert [info.name for info in experiment.hparam_infos] == ["latent_dim", "seed"]
    metric = experiment.metric_infos[0]
    logs = swept / "trial-001" / "seed-1" / "logs"
    scalars = EventAccumulator(str(logs / metric.name.group))
    scalars.Reload()
    value = float(tf.make_ndarray(scalars.Tensors(metric.name.tag)[-1].tensor_proto))
    history = runs.read_metrics(logs.parent)["history"]
    assert (metric.display_name, value) == ("val_accuracy", history["val_accuracy"][-1])
    session = written(logs)
    start = session[metadata.SESSION_START_INFO_TAG].session_start_info
    assert start.hparams["seed"].number_value == 1
    assert start.hparams["latent_dim"].number_value == 2
    assert start.hparams["hidden"].string_value == "[4]"
    assert session[metadata.SESSION_END_INFO_TAG].session_end_info.status == 1


@pytest.mark.slow
def test_a_killed_sweep_ends_as_one_that_was_left_alone(tmp_path):
    sampled = ["--range", "learning_rate=1e-3:1e-1:log", "--grid", "latent_dim=0,2,3"]
    sampled += ["--trials", "3", "--seeds", "0", "1", "--set", "hidden=(4,)", "--epochs", "8"]

    def start(folder):
        command = [sys.executable, "-m", "tfssvae", *BASE, *sampled, "--out", str(folder)]
        with open(tmp_path / "printed.txt", "w") as printed:
            return subprocess.Popen(
                [*command, "--checkpoint-seconds", "0"], stdout=printed, stderr=subprocess.STDOUT
            )

    assert start(tmp_path / "whole").wait() == 0, (tmp_path / "printed.txt").read_text()
    draw, kills = random.Random(0), 0
    while True:
        process = start(tmp_path / "cut")
        # Later ones come later: however slow the machine is, a run ends between two of them.
        seconds = draw.uniform(5, 15) * (1 + kills / 2) if kills < 6 else None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0, (tmp_path / "printed.txt").read_text()
        break
    assert kills >= 2
    one, other = content(tmp_path / "whole"), content(tmp_path / "cut")
    assert one == other
