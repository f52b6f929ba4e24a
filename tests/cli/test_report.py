"""`tfssvae report`: what the page says is what the run is, and nothing from outside is in it."""

import json
import shutil

import keras
import numpy as np
import pytest

import tfssvae
from tests.cli.run_folders import DIGITS, HISTORY, assert_alone, make_run, report
from tfssvae import data, evaluation, runs
from tfssvae.cli import main
from tfssvae.regularizers import MIER
from tfssvae.report.heading import heading
from tfssvae.report.page import (
    Fact,
    Picture,
    Table,
)
from tfssvae.report.run import load
from tfssvae.report.sections import sections
from tfssvae.report.tables import summary
from tfssvae.training import PartOptimizer, ramp_down

SUMMARY = {"Figures", "Classes"}
CURVES = {"Learning curves", "Information during training"}
JUDGED = {"Confusion", "Calibration", "Worst mistakes"}
IMAGES = {"Generated images", "Styles", "Reconstructions"}
CODES = {"Code and prior", "Active units"}
RECORD = {"Settings", "Run it again"}
EVERYTHING = (
    SUMMARY
    | CURVES
    | JUDGED
    | {"Entropy", "Feature map"}
    | IMAGES
    | CODES
    | {"Bound"}
    | RECORD
    | {"Divergence from the hidden labels"}
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    command = ["train", "m2", "--data", "digits", "--labels-per-class", "5", "--epochs", "2"]
    command += ["--set", "hidden=(16,)", "--set", "latent_dim=3", "--driver", "fit"]
    assert main([*command, "--out", str(folder)]) == 0
    return folder


def test_the_report_of_a_trained_run(trained, capsys):
    page, printed = report(capsys, trained)
    assert printed.strip().endswith(f"wrote {trained / 'report.html'}")
    assert "measuring 359 test examples" in printed
    assert "drawing reconstructions" in printed
    assert_alone(page)
    title, *headings = page.headings
    assert title == "M2 on digits"
    assert set(headings) == EVERYTHING
    metrics = json.loads((trained / "metrics.json").read_text())
    found, alone = metrics["test"], metrics["labels_alone"]
    assert page.row("accuracy") == [f"{found['accuracy']:.2%}", f"{alone['accuracy']:.2%}"]
    assert page.row("log loss, nats") == [f"{found['log_loss']:.4f}", f"{alone['log_loss']:.4f}"]
    bound = page.row("bound on log p(x), nats: mean ± deviation over examples")[0]
    assert float(bound.split(" ± ")[0]) == pytest.approx(found["unlabelled_bound"], abs=0.006)
    model, loaded = runs.load_run(trained)
    probs = model.predict(loaded.x_test, verbose=0).astype("float64")
    entropy = -np.mean(np.sum(probs * np.log(probs), axis=1))
    average = probs.mean(axis=0)
    information = -np.sum(average * np.log(average)) - entropy
    shown = page.row("entropy of the classifier H(q(y|x)), nats")[0]
    assert float(shown) == pytest.approx(entropy, abs=6e-5)
    shown = page.row("mutual information I(y; x), nats (at most 2.303)")[0]
    assert float(shown) == pytest.approx(information, abs=6e-5)
    assert page.row("examples") == ["50 labelled, 1,388 unlabelled, 0 validation, 359 test"]
    assert page.row("settings") == ["hidden=(16), latent_dim=3"]
    assert tfssvae.__version__ in page.row("versions")[0]
    counts = [f"{np.sum(y == 3)}" for y in (loaded.hidden_labels[loaded.unlabelled_indices],)]
    tests = loaded.y_test == 3
    recall = np.mean(probs[tests].argmax(axis=1) == 3)
    assert page.row("3") == ["5", *counts, f"{tests.sum()}", f"{recall:.1%}"]
    worst = evaluation.worst_mistakes(probs, loaded.y_test)[0]
    gallery = [image["alt"] for image in page.having("img") if image["alt"].startswith("is ")]
    assert len(gallery) == 24
    assert gallery[0].startswith(f"is {worst.true}, said {worst.predicted}, ")
    assert "--labels-per-class 5" in page.text
    assert "-log q(y|x) of the labelled images" in page.text  # below the curve of the term


def test_a_run_that_is_not_finished_shows_its_last_checkpoint(trained, tmp_path, capsys):
    folder = tmp_path / "cut off"
    shutil.copytree(trained, folder)
    for name in ("metrics.json", "model.keras"):
        (folder / name).unlink()
    run = load(folder, print)
    assert "is not finished" in capsys.readouterr().out
    (note,) = heading(run).notes
    assert "after 2 of 2 epochs" in note
    assert f"tfssvae train --resume {folder}" in note
    finished = load(trained, print)
    np.testing.assert_array_equal(run.probs, finished.probs)
    assert run.metrics["history"] == finished.metrics["history"]
    assert next(sections(run, print)).title == "Figures"
    shutil.rmtree(folder / "checkpoints")
    assert main(["report", str(folder)]) == 2
    assert "has no checkpoint yet" in capsys.readouterr().err


def titles_of(folder):
    """The titles of a run's sections, every picture of which has been drawn once."""
    run = load(folder, print)
    found = []
    for section in sections(run, print):
        found.append(section.title)
        for part in section.parts:
            if isinstance(part, Picture):
                assert evaluation.figure_pixels(part.draw()).std() > 1
    return run, found


def array_run(folder, name="m2", likelihood="bernoulli", seed=0, history=HISTORY, **source):
    """A run on random arrays; None leaves a part out."""
    rng = np.random.default_rng(seed)
    shape = source.pop("shape", (8, 8))
    arrays = {"x_train": rng.random((40, *shape)), "y_train": np.arange(40) % 2}
    arrays |= {"x_test": rng.random((12, *shape)), "y_test": np.arange(12) % 2, **source}
    folder.parent.mkdir(exist_ok=True, parents=True)
    path = folder.parent / f"{folder.name} data.npz"
    settings = {key: arrays.pop(key) for key in ("validation", "labels_per_class") if key in arrays}
    np.savez(path, **{key: values for key, values in arrays.items() if values is not None})
    settings = {"name": str(path), "labels_per_class": 5, "seed": 0, **settings}
    return make_run(folder, settings, name, history, likelihood=likelihood)


def test_the_bound_of_all_batches_is_one_call_and_so_traced_once(trained, monkeypatch):
    monkeypatch.setattr("tfssvae.report.run._BATCH", 50)  # 359 rows: the last has 9
    traced = []
    bound = evaluation.unlabelled_bound
    monkeypatch.setattr(evaluation, "unlabelled_bound", lambda *a: traced.append(a) or bound(*a))
    run = load(trained, print)
    ((model, _, batch_size),) = traced
    assert batch_size == 50
    assert run.bounds.mean() == pytest.approx(
        model.evaluate(run.data.test(50), return_dict=True, verbose=0)["monitor/unlabelled_bound"],
        rel=1e-5,
    )


def test_colour_images_of_one_class(tmp_path):
    run, titles = titles_of(
        array_run(tmp_path / "colour", shape=(4, 4, 3), y_test=np.zeros(12, int))
    )
    assert (JUDGED | IMAGES | CODES) - {"Worst mistakes"} <= set(titles)
    assert run.figures["counts"] == {"0": 12, "1": 0}


def test_a_table_of_numbers_and_one_test_row(tmp_path):
    folder = array_run(
        tmp_path / "one", likelihood="gaussian", shape=(6,), x_test=np.ones((1, 6)), y_test=[1]
    )
    _, titles = titles_of(folder)
    assert not (IMAGES | CODES | {"Feature map"}) & set(titles)
    assert {"Confusion", "Entropy", "Bound"} <= set(titles)


def test_mistakes_of_a_table_are_rows(tmp_path):
    run = load(array_run(tmp_path / "run", likelihood="gaussian", shape=(6,)), print)
    (section,) = (s for s in sections(run, print) if s.title == "Worst mistakes")
    (table,) = section.parts
    assert table.head[0] == "row of the test data"
    predicted = run.probs.argmax(axis=1)
    shown = [int(row[0]) for row in table.rows]
    assert (predicted[shown] != run.y[shown]).all()
    for true in (0, 1):  # of one confusion at most four, the surest
        rows = np.flatnonzero((run.y == true) & (predicted != true))
        assert sum(run.y[shown] == true) == min(4, len(rows))


def test_validation_data_stand_in_for_test_data_and_the_page_says_so(tmp_path):
    folder = array_run(tmp_path / "run", x_test=None, y_test=None, validation=10)
    run = load(folder, print)
    assert (run.part, len(run.x), len(run.probs)) == ("validation", 10, 10)
    assert "There is no test data: figures are of 10 validation examples" in heading(run).notes[0]
    names = [fact.name for fact in heading(run).facts]
    assert names[0] == "validation accuracy"
    metrics = json.loads((folder / "metrics.json").read_text())
    best = {"best": {"name": "val_accuracy", "value": 0.75, "epoch": 2, "step": 8}}
    (folder / "metrics.json").write_text(json.dumps({**metrics, **best}))
    run = load(folder, print)
    assert ("best epoch", "2: val_accuracy 0.75") in summary([run]).rows
    (section,) = (s for s in sections(run, print) if s.title == "Figures")
    assert "10 validation examples" in section.meaning


def test_clusters_have_no_accuracy_but_that_of_their_best_names(tmp_path):
    folder = array_run(tmp_path / "run", "cagem", labels_per_class=0)
    config = json.loads((folder / "config.json").read_text())
    config["labelled"] = 0
    (folder / "config.json").write_text(json.dumps(config))
    run, titles = titles_of(folder)
    assert run.predicts == "clusters"
    assert "Clusters and classes" in titles
    assert not JUDGED & set(titles)
    (section,) = (s for s in sections(run, print) if s.title == "Clusters and classes")
    (axes, _) = section.parts[0].draw().axes
    assert (axes.get_title(), axes.get_xlabel()) == ("Classes and clusters", "cluster")
    assert "accuracy" not in run.figures
    expected = evaluation.clustering_accuracy(run.y, run.probs.argmax(axis=1))
    assert run.figures["clustering_accuracy"] == expected


def test_what_is_not_a_number_is_said_and_nothing_breaks(tmp_path):
    # What is not finite is null in metrics.json; an older one has NaN.
    history = {"loss": [3.0, None, float("inf")], "accuracy": [0.5, 0.25, float("nan")]}
    folder = array_run(tmp_path / "run", history=history)
    path = folder / "model.keras"
    model = keras.saving.load_model(path)
    model.classifier.set_weights([np.full_like(w, np.nan) for w in model.classifier.get_weights()])
    model.save(path)
    run, titles = titles_of(folder)
    notes = heading(run).notes
    assert "predicts what is not a number" in notes[0]
    assert notes[1] == "loss is not a number in epoch 2: training diverged."
    assert "Learning curves" in titles
    assert set(titles) == {"Classes", "Learning curves", *RECORD}


@pytest.fixture
def nasty(tmp_path):
    """A table without test data in a file whose name is markup."""
    rng = np.random.default_rng(0)
    path = tmp_path / "<b>&amp;'\".npz"
    np.savez(path, x_train=rng.random((40, 6)), y_train=np.arange(40) % 2)
    return {"name": str(path), "labels_per_class": 5, "seed": 0}


def test_a_table_without_test_data_and_markup_in_names(nasty, tmp_path, capsys):
    falling = ramp_down(0.1, 5, 9)
    sgd = keras.optimizers.SGD(falling, momentum=0.9)
    adam = keras.optimizers.Adam(2e-3, weight_decay=0.5)
    folder = make_run(
        tmp_path / "run",
        nasty,
        optimizer=PartOptimizer(sgd, {"classifier": adam}),
        likelihood="gaussian",
        regularizers=[MIER(beta=2.0, name="mier")],
    )
    config = json.loads((folder / "config.json").read_text())
    config["model"]["note"] = "<script>alert(1)</script>"
    (folder / "config.json").write_text(json.dumps(config))
    page, printed = report(capsys, folder)
    assert "no test data to measure" in printed
    assert_alone(page)
    assert set(page.headings[1:]) == {"Classes", *CURVES, *RECORD}
    name = data.load(**nasty).name
    assert "<b>" in name
    assert page.headings[0] == f"M2 + MIER on {name}"
    assert page.row("settings") == [
        "likelihood=gaussian, regularizers=(MIER(beta=2, gamma=1, momentum=0, compared=all)), "
        "note=<script>alert(1)</script>"
    ]
    text = "RampDown(rate=0.1, begin=5, steps=9, gamma=5, origin=0)"
    assert page.row("optimizer") == [
        f"default: SGD(learning_rate={text}, momentum=0.9); "
        "classifier: Adam(learning_rate=0.002, weight_decay=0.5)"
    ]
    assert "nothing could be measured" in page.text
    assert not {"b", "script"} & {tag for tag, _ in page.tags}


def test_a_method_without_a_classifier_shows_no_prediction(tmp_path):
    _, titles = titles_of(make_run(tmp_path / "run", DIGITS, "vae", {"loss": [2.0, 1.0]}))
    assert not (JUDGED | {"Entropy", "Feature map", "Styles"}) & set(titles)
    assert "Information during training" not in titles
    assert {"Bound", "Generated images", "Reconstructions"} | CODES <= set(titles)


def test_a_designed_latent_space_is_shown(tmp_path):
    pictures = {"Latent space", "Latent plane", "V-nat", "Between two classes", "Styles"}
    folder = make_run(tmp_path / "exon", DIGITS, "exon", latent_dim=2)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["test"] = {
        **{"kl_z1": 1.5, "active_units_z1": 3, "accuracy": 2.0},
        **{"kl_to_prior": 1.25, "kl_bounds": {"upper": 7.0}, "activated_units_3": 2},
        **{"teacher_accuracy": 0.875, "teacher_error": 0.125, "log_likelihood_50": -4.5},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    run = load(folder, print)
    assert run.figures["accuracy"] <= 1
    tables, titles = {}, []
    for section in sections(run, print):
        titles.append(section.title)
        for part in section.parts:
            if isinstance(part, Table):
                tables |= {row[0]: row[1:] for row in part.rows}
    # What is not measured for the report comes from the run.
    assert tables["active units of z1"] == ("3",)
    assert tables["accuracy of the Mean Teacher"] == ("87.50%",)
    assert tables["error of the Mean Teacher"] == ("12.50%",)
    assert tables["KL(q(y, z|x) || p(y, z)), nats"] == ("1.25",)
    assert tables["upper bound on it, nats"] == ("7.00",)
    assert tables["log p(x) at least, nats: 50 importance samples"] == ("-4.50",)
    assert pictures <= set(titles)
    assert "Code and prior" not in titles  # the plane has it
    facts = {fact.name: fact for fact in heading(run).facts}
    assert facts["log p(x) at least"] == Fact(
        "log p(x) at least", "-4.50 nats", "50 importance samples"
    )


def break_metrics(folder, content):
    path = folder / "metrics.json"
    path.write_text(content)


def test_what_cannot_be_reported_is_one_sentence(tmp_path, capsys):
    run = make_run(tmp_path / "run", DIGITS)
    broken = {}
    for name, content in (("damaged", "{"), ("lacking", '{"seconds": 1}')):
        broken[name] = tmp_path / name
        shutil.copytree(run, broken[name])
        break_metrics(broken[name], content)
    for arguments, message in (
        ([tmp_path], "not a run folder"),
        ([run, "--out", tmp_path], "is a folder: name a file"),
        ([broken["damaged"]], "damaged"),
        ([broken["lacking"]], "lacks environment, history"),
    ):
        assert main(["report", *map(str, arguments)]) == 2
        complaint = capsys.readouterr().err
        assert message in complaint
        assert complaint.count("\n") == 1
    assert not list(tmp_path.glob("**/*.html"))


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["report", "--help"])
    assert stop.value.code == 0
    assert "compare" in capsys.readouterr().out
