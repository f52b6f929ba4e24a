"""`tfssvae reproduce` and `--regularizer`."""

import json

import pytest
from PIL import Image

import tfssvae
from tfssvae import reproduce, runs
from tfssvae.checks import DivergenceError
from tfssvae.cli import main
from tfssvae.recipes import TABLES
from tfssvae.runs.complete import unnumbered

ARGUMENTS = ["reproduce", "mier/table1", "--data", "digits", "--epochs", "1", "--rows", "m2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce") / "table"
    rows = ["m2+mier", "--seeds", "0", "1", "--out", str(folder)]
    assert main([*ARGUMENTS, *rows]) == 0
    return folder


def test_the_table_is_the_runs(folder):
    table = json.loads((folder / "table.json").read_text())
    assert set(table["rows"]) == {"m2", "m2+mier"}
    accuracies = {}
    for row in table["rows"]:
        for seed in ("0", "1"):
            run = json.loads((folder / f"{row}-seed{seed}" / "metrics.json").read_text())
            accuracies[row, seed] = run["test"]["accuracy"]
            found = table["rows"][row]["metrics"]["accuracy"]["per_seed"][seed]
            assert found == accuracies[row, seed]
    differences = [accuracies["m2+mier", seed] - accuracies["m2", seed] for seed in "01"]
    paired = table["rows"]["m2+mier"]["metrics"]["accuracy"]["minus_pair"]
    assert paired["mean"] == pytest.approx(sum(differences) / 2)
    assert paired["sd"] == pytest.approx(abs(differences[0] - differences[1]) / 2**0.5)
    text = (folder / "table.md").read_text()
    assert "M2+MIER" in text
    assert "seeds 0 1" in text


def test_the_figure_of_a_paper_is_drawn_from_the_models_of_the_first_seed(tmp_path, monkeypatch):
    data = tfssvae.data.load("digits", classes=[0, 1])
    model = tfssvae.METHODS["exon"]((8, 8, 1), 2, hidden=(4,), filters=(2,))
    loaded = []

    def load_run(folder):
        loaded.append(folder.name)
        return model, data

    test = {"error": 0.25, "kl_to_prior": 1.5, "recall": [1, 1]}
    monkeypatch.setattr(runs, "load_run", load_run)
    monkeypatch.setattr(runs, "complete_run", lambda *_: {"seconds": 1.0, "test": test})
    arguments = ["reproduce", "exon/figure6", "--data", "digits", "--epochs", "1"]
    rows = ["--rows", "distance=8", "distance=32", "--seeds", "3", "4", "--out", str(tmp_path)]
    assert main([*arguments, *rows]) == 0
    assert loaded == ["distance=8-seed3", "distance=32-seed3"]
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.size[0] > 11 * 64
    table = (tmp_path / "table.md").read_text()
    assert "| distance 32 | 2 | 25.00 ± 0.00 | 1.5000 ± 0.0000 |" in table
    assert "published" not in table


def fake_runs(monkeypatch, tests):
    """Stand in for training: each row's run has the test figures given under its name."""

    def complete_run(folder, *_):
        figures = {"recall": [1] * 10, "error": 0.25, **tests[folder.name.partition("-seed")[0]]}
        history = {"val_monitor/unlabelled_bound": [-9.0, -8.0], "val_accuracy": [0.5, 0.75]}
        return {"seconds": 1.0, "test": figures, "history": history}

    monkeypatch.setattr(runs, "complete_run", complete_run)


def test_a_figure_of_training_needs_no_models(tmp_path, monkeypatch):
    fake_runs(monkeypatch, {"m2": {}, "m2-without-labelled-bound": {}})
    arguments = ["reproduce", "shot_vae/figure1-mnist", "--data", "digits", "--epochs", "2"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.size[0] > 500


def test_a_row_without_a_figure_leaves_its_place_empty(tmp_path, monkeypatch):
    taught = {"error": 0.5, "teacher_error": 0.125}
    fake_runs(monkeypatch, {"shot-vae+da": {}, "shot-vae+mt": taught})
    arguments = ["reproduce", "shot_vae/table5-cifar10", "--data", "digits", "--epochs", "1"]
    monkeypatch.setattr(reproduce, "_config", lambda *_: {})
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    lines = (tmp_path / "table.md").read_text()
    assert "| SHOT-VAE+DA | 1 | 25.00 |  |" in lines
    assert "| SHOT-VAE+MT | 1 | 50.00 | 12.50 |" in lines
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert set(rows["shot-vae+da"]["metrics"]) == {"error"}
    assert rows["shot-vae+mt"]["metrics"]["teacher_error"]["mean"] == 0.125


def test_a_run_that_diverges_is_told_and_stops_no_other(tmp_path, monkeypatch, capsys):
    called, broken = [], {"m2-seed3", "m2+mier-seed1", "m2+mier-seed3"}

    def complete_run(folder, *_):
        called.append(folder.name)
        if folder.name in broken:
            raise DivergenceError(f"training diverged in step {len(called)}")
        test = {"accuracy": 0.75, "error": 0.25, "recall": [1] * 10}
        return {"seconds": 1.0, "test": test}

    monkeypatch.setattr(runs, "complete_run", complete_run)
    monkeypatch.setattr(reproduce, "_config", lambda *_: {})
    asked = ["m2+mier", "--seeds", "3", "1", "--out", str(tmp_path)]
    assert main([*ARGUMENTS, *asked]) == 3
    rows = ["m2", "m2+mier"]
    assert called == [f"{row}-seed{seed}" for seed in (3, 1) for row in rows]
    assert (
        "3 of 4 runs diverged (m2, seed 3; m2+mier, seed 3; m2+mier, seed 1)"
        in capsys.readouterr().err
    )
    found = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert found["m2"]["diverged"] == {"3": "training diverged in step 1"}
    assert found["m2"]["metrics"]["accuracy"]["per_seed"] == {"1": 0.75}
    assert list(found["m2+mier"]["diverged"].values()) == [
        "training diverged in step 2",
        "training diverged in step 4",
    ]
    assert found["m2+mier"]["metrics"] == {}
    table = (tmp_path / "table.md").read_text()
    assert "| model | runs | diverged |" in table
    assert "| M2 | 1 | seed 3 | 75.00 |" in table
    assert "| M2+MIER | 0 | seed 3, seed 1 |  |" in table
    assert "over seeds 3 1, without runs that diverged; 1 to 1 s a run;" in table
    broken.clear()
    assert main([*ARGUMENTS, *asked]) == 0
    assert "diverged" not in (tmp_path / "table.md").read_text()


def test_a_figure_of_a_paper_leaves_out_what_diverged(tmp_path, monkeypatch):
    history = {"val_monitor/unlabelled_bound": [-9.0, -8.0], "val_accuracy": [0.5, 0.75]}

    def complete_run(folder, *_):
        if folder.name in broken:
            raise DivergenceError("training diverged in step 1")
        test = {"recall": [1] * 10, "error": 0.25}
        return {"seconds": 1.0, "test": test, "history": history}

    monkeypatch.setattr(runs, "complete_run", complete_run)
    monkeypatch.setattr(reproduce, "_config", lambda *_: {})
    arguments = ["reproduce", "shot_vae/figure1-mnist", "--data", "digits", "--out", str(tmp_path)]
    broken = {"m2-seed0", "m2-without-labelled-bound-seed0"}
    assert main(arguments) == 3
    assert not (tmp_path / "figure.png").exists()
    broken = {"m2-seed0"}
    assert main(arguments) == 3
    assert (tmp_path / "figure.png").exists()


def test_finished_runs_are_kept(folder, capsys):
    before = (folder / "table.json").read_text()
    rows = ["m2+mier", "--seeds", "0", "1", "--out", str(folder)]
    assert main([*ARGUMENTS, *rows]) == 0
    assert capsys.readouterr().out.count("finished before") == 4
    assert (folder / "table.json").read_text() == before


def test_a_damaged_run_is_named(folder, capsys):
    path = folder / "m2-seed0" / "metrics.json"
    whole = path.read_text()
    path.write_text(whole[:50])
    try:
        assert main([*ARGUMENTS, "--out", str(folder)]) == 2
    finally:
        path.write_text(whole)
    assert f"{path} is damaged" in capsys.readouterr().err


def test_runs_with_other_settings_are_refused(folder, capsys):
    arguments = [*ARGUMENTS, "--out", str(folder)]
    arguments[arguments.index("1")] = "2"
    assert main(arguments) == 2
    assert "another epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "mier/table9", "--data", "digits"], 'did you mean "mier/table'),
        (["reproduce", "mier/table1", "--data", "digits", "--rows", "m3"], "unknown row"),
        (["reproduce", "mier/table1", "--data", "digits", "--epochs", "0"], "at least 1"),
        (["train", "m2", "--data", "digits", "--regularizer", "miner"], 'did you mean "mier"'),
        (["train", "m2", "--data", "digits", "--regularizer", "mier:bta=5"], "bta"),
        (["train", "m2", "--data", "digits", "--regularizer", "mier:momentum=2"], "momentum"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_regularizer_of_the_command_line_is_trained_and_kept(tmp_path):
    out = tmp_path / "run"
    arguments = ["train", "m2", "--data", "digits", "--labels-per-class", "5", "--epochs", "1"]
    settings = ["--set", "hidden=(8,)", "--set", "latent_dim=2", "--out", str(out)]
    assert main([*arguments, *settings, "--regularizer", "mier:beta=3,gamma=0.5"]) == 0
    (kept,) = json.loads((out / "config.json").read_text())["model"]["regularizers"]
    assert (kept["config"]["beta"], kept["config"]["gamma"]) == (3, 0.5)
    history = json.loads((out / "metrics.json").read_text())["history"]
    assert history["mier_entropy"][0] == pytest.approx(3 * history["monitor/mier_entropy"][0])


def test_a_configuration_runs_no_code(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "m2", "--data", "digits", "--labels-per-class", "5", "--epochs", "1"]
    harmful = "{'class_name': 'Lambda', 'module': 'keras.layers', 'config': {}}"
    assert main([*arguments, "--set", f"prior={harmful}", "--out", str(out)]) == 2
    assert "may not hold" in capsys.readouterr().err


def test_numbers_behind_names_are_no_difference():
    (row,) = TABLES["exon/table3"].chosen(["beta=0.25"])
    one, two = row.settings(100, 10), row.settings(100, 10)
    assert one != two, "Keras counts its objects"
    assert unnumbered(one) == unnumbered(two)
