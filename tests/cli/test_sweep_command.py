"""`tfssvae sweep` as a command: the options of its trials, and what it refuses."""

import subprocess
import sys

import pytest

from tests.cli.sweeps import BASE, NO_LABELS
from tfssvae.cli import main
from tfssvae.cli.parser import make_parser
from tfssvae.cli.settings import settings_parser, train_command, with_arguments
from tfssvae.cli.sweep import settings_of_sweep
from tfssvae.library_errors import install_hint


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
    assert install_hint("sweep") in capsys.readouterr().err
