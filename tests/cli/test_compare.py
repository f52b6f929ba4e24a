"""`tfssvae compare`: what is grouped, what is paired, and what is refused."""

import itertools
import json
import math
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.stats

from tests.cli.run_folders import DIGITS, HISTORY, Page, assert_alone, make_run
from tfssvae import data
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.regularizers import MIER
from tfssvae.report import compare as page_of_comparison
from tfssvae.report import comparison
from tfssvae.report.comparison import compare, numbers
from tfssvae.report.groups import Finished, differing, find_runs, grouped
from tfssvae.report.measures import measure_of

PLAIN = {0: 0.80, 1: 0.90, 2: 0.85}
BETTER = {0: 0.82, 1: 0.91, 2: 0.88, 3: 0.99}


def config_of(seed=0, method="m2", model=None, **changes):
    source = {"name": "digits", "labels_per_class": 5, "seed": seed, "data_dir": None}
    shared = {"method": method, "model": model or {}, "epochs": 2, "driver": "loop"}
    return {**shared, "data": source, "checkpoint_seconds": seed + 1.0, **changes}


def finished(folder, config, **test):
    metrics = {"seconds": 2.0, "history": {}, "environment": {}, "test": test}
    return Finished(Path(folder), config, metrics)


def serialised(beta):
    return keras.saving.serialize_keras_object([MIER(beta=beta)])


def test_runs_that_differ_in_the_seed_alone_are_one_group():
    # Keras numbers the names of objects by how many a process has made.
    runs = [
        finished(f"/x/{s}", config_of(s, model={"regularizers": serialised(2)})) for s in (1, 0)
    ]
    runs += [finished("/x/other", config_of(0, model={"regularizers": serialised(3)}))]
    runs += [finished("/x/unset", config_of(0, regularizers=[], binarize=None))]
    groups = grouped(runs)
    assert [group.seeds for group in groups] == [[0, 1], [0], [0]]
    assert differing(groups) == {
        "model: regularizers": [
            "(MIER(beta=2, gamma=1, momentum=0, compared=all))",
            "(MIER(beta=3, gamma=1, momentum=0, compared=all))",
            "not set",
        ]
    }


def texts_of(*configs):
    """The texts of the settings that differ between runs of these configurations."""
    return differing(grouped([finished(f"/x/{n}", one) for n, one in enumerate(configs)]))


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("lvae", "batch_norm", False),
        ("cagem", "skip_connection", False),
        ("exon", "beta", 0),
        ("exon", "regularizers", []),
        ("parted_vae", "capacity_u", None),
    ],
)
def test_a_model_argument_that_is_off_is_not_the_default(method, name, value):
    found = texts_of(config_of(method=method), config_of(method=method, model={name: value}))
    assert list(found) == [f"model: {name}"]
    assert found[f"model: {name}"][0] == "not set"


@pytest.mark.parametrize(
    ("method", "model"),
    [
        ("lvae", {"batch_norm": True}),
        ("exon", {"beta": 0.25, "latent_dim": None}),
        ("m2", {"latent_dim": 50, "hidden": [600, 600], "weights": {}}),
    ],
)
def test_the_default_written_down_is_the_default(method, model):
    runs = [config_of(0, method), config_of(1, method, model)]
    assert len(grouped([finished(f"/x/{n}", run) for n, run in enumerate(runs)])) == 1


def test_options_that_change_nothing_are_not_set_and_no_labels_are_no_default():
    off = {
        "unfeatured": 0,
        "default_weights": "recommended",
        "replicas": 2,
        "test_fingerprint": "1f",
        "label_fingerprint": "2e",
    }
    runs = [config_of(0), config_of(1, **off)]
    runs[1]["data"] |= {"grey": False, "binarize": None, "validation": 0.0}
    assert len(grouped([finished(f"/x/{n}", run) for n, run in enumerate(runs)])) == 1
    none, every = config_of(labelled=0), config_of(labelled=50)
    none["data"]["labels_per_class"], every["data"]["labels_per_class"] = 0, None
    assert texts_of(none, every) == {
        "labelled": ["0", "50"],
        "data: labels_per_class": ["0", "not set"],
    }


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("/x/m2-seed0", "/x/m2-seed1", "/x/vae-seed0"), ["m2", "vae"]),
        (("/x/a@20_seed=0", "/x/a@20_seed=1", "/x/b"), ["a@20", "b"]),
        (("/x/a", "/x/b", "/x/c"), ["m2 epochs=2", "m2 epochs=9"]),
        (("/x/t-0/seed-0", "/x/t-0/seed-1", "/x/t-1/seed-0"), ["t-0", "t-1"]),
        (("/a/t/seed-0", "/a/t/seed-1", "/b/t/seed-0"), ["m2 epochs=2", "m2 epochs=9"]),
        (("/x/runs/seed0", "/x/runs/seed1", "/x/runs/b"), ["m2 epochs=2", "m2 epochs=9"]),
    ],
)
def test_groups_are_called_as_their_folders_are_or_after_their_settings(folders, expected):
    configs = [config_of(0), config_of(1), config_of(0, epochs=9)]
    names = [
        group.name
        for group in grouped([finished(*run) for run in zip(folders, configs, strict=True)])
    ]
    assert names == expected


def test_the_same_run_twice_is_refused():
    runs = [finished("/x/a", config_of(0)), finished("/x/b", config_of(0))]
    with pytest.raises(InputError, match="/x/a and /x/b have the same settings and the same seed"):
        grouped(runs)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of two groups of which three seeds pair, with the test figures above."""
    folder = tmp_path_factory.mktemp("runs")
    histories = {
        "plain": {**HISTORY, "val_loss": [4.0, 3.5]},
        "better": {**HISTORY, "loss": [2.0, 1.0]},
    }
    for name, accuracies, arguments in (
        ("plain", PLAIN, {}),
        ("better", BETTER, {"regularizers": [MIER(beta=2.0)]}),
    ):
        first = make_run(folder / f"{name}-seed0", DIGITS, history=histories[name], **arguments)
        for seed, accuracy in accuracies.items():
            run = folder / f"{name}-seed{seed}"
            if seed:
                shutil.copytree(first, run)
            config = json.loads((run / "config.json").read_text())
            config["data"]["seed"] = seed
            (run / "config.json").write_text(json.dumps(config))
            metrics = json.loads((run / "metrics.json").read_text())
            metrics["test"] = {"accuracy": accuracy, "count": 359, "recall": {"0": 1.0}}
            if name == "better":
                metrics["test"]["log_likelihood_50"] = -20.0 - seed
            (run / "metrics.json").write_text(json.dumps(metrics))
    return folder


def runs_of(made, *names):
    return [path for name in names for path in sorted(made.glob(f"{name}-seed*"))]


def test_paired_differences_over_the_seeds_that_both_have(made):
    found = compare(runs_of(made, "plain", "better"))
    assert [group.name for group in found.groups] == ["plain", "better"]
    rows = {row.measure.key: row for row in found.rows}
    assert set(rows) == {"accuracy", "log_likelihood_50", "seconds"}
    plain, better = rows["accuracy"].means
    assert plain.mean == pytest.approx(0.85)
    assert plain.standard_error == pytest.approx(0.05 / math.sqrt(3))
    assert better.runs == 4
    (difference,) = rows["accuracy"].differences
    assert difference.seeds == (0, 1, 2)
    expected = scipy.stats.ttest_rel([BETTER[s] for s in PLAIN], list(PLAIN.values()))
    interval = expected.confidence_interval(0.95)
    assert difference.interval == pytest.approx((interval.low, interval.high))
    assert difference.mean == pytest.approx(0.02)
    assert rows["log_likelihood_50"].means[0] is None
    content = json.loads(json.dumps(numbers(found)))
    one, two = content["groups"]
    assert [content["groups"][key]["name"] for key in (one, two)] == ["plain", "better"]
    assert content["reference"] == one
    assert content["differences"]["accuracy"][two]["mean"] == pytest.approx(0.02)
    assert content["figures"]["log_likelihood_50"][one] is None
    config = json.loads((made / "better-seed0" / "config.json").read_text())
    expected = {two: config["model"]["regularizers"]}  # what is not set is not there
    assert content["settings"] == {"model: regularizers": expected}
    assert content["groups"][one]["settings"]["epochs"] == 2
    assert content["groups"][one]["runs"]["1"] == str(made / "plain-seed1")
    alone = numbers(compare(runs_of(made, "better")))
    assert list(alone["groups"]) == [two]  # whatever it is compared with


def test_the_terminal_shows_the_table_and_the_page_the_pictures(
    made, tmp_path, capsys, monkeypatch
):
    pictures = page_of_comparison.picture_sections
    monkeypatch.setattr(
        page_of_comparison, "picture_sections", lambda *args: itertools.islice(pictures(*args), 2)
    )
    out = tmp_path / "new" / "page.html"
    paths = map(str, [*runs_of(made, "plain"), *runs_of(made, "better")])
    assert main(["compare", *paths, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    lines = [" ".join(line.split()) for line in printed.out.splitlines()]
    assert "accuracy 85.00% ± 2.89% 90.00% ± 3.54%" in lines
    low, high = (2 + sign * scipy.stats.t.ppf(0.975, 2) / math.sqrt(3) for sign in (-1, 1))
    assert f"accuracy +2.00 ± 0.58 [{low:+.2f}, {high:+.2f}] points, n = 3" in lines
    assert f"wrote {out}" in printed.out
    page = Page(out.read_text())
    assert_alone(page)
    assert page.headings[0] == "plain and better on digits"
    shown = [image["alt"] for image in page.having("img")]
    for kind in ("Confusion matrix", "Reliability diagram"):
        assert {f"{kind} of plain", f"{kind} of better"} <= set(shown)
    assert shown.count("Curve of loss") == 1
    assert "Lines: plain, plain, validation, better" in shown
    assert page.row("seeds") == ["0, 1, 2", "0, 1, 2, 3"]


def test_json_and_a_folder_of_runs(made, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "tfssvae.report.compare.write_comparison", lambda _, out, say: out or "page"
    )
    (made / "begun").mkdir()
    shutil.copy(made / "plain-seed0" / "config.json", made / "begun")
    try:
        assert main(["compare", str(made), "--json"]) == 0
    finally:
        shutil.rmtree(made / "begun")
    printed = capsys.readouterr()
    content, page = map(json.loads, printed.out.splitlines())
    assert (content["event"], page["event"]) == ("comparison", "page")
    assert {group["name"] for group in content["groups"].values()} == {"plain", "better"}
    assert "begun is not finished and left out" in printed.err


def test_groups_without_a_common_seed_are_not_paired(made, tmp_path):
    found = compare([made / "plain-seed0", made / "better-seed1"])
    assert all(row.differences == [None] for row in found.rows)
    assert "not paired" in page_of_comparison.as_text(found)
    assert (
        "no seed in common with plain"
        in page_of_comparison._head(found, data.load("digits")).notes[0]
    )


def test_a_single_pair_has_no_interval(made):
    text = page_of_comparison.as_text(compare([made / "plain-seed0", made / "better-seed0"]))
    assert "+2.00 points, n = 1" in text


def test_what_cannot_be_compared_is_one_sentence(made, tmp_path, capsys):
    one = made / "plain-seed0"
    rng = np.random.default_rng(0)
    path = tmp_path / "other.npz"
    images = rng.random((40, 4, 4))
    np.savez(
        path, x_train=images, y_train=np.arange(40) % 2, x_test=images, y_test=np.arange(40) % 2
    )
    other = make_run(tmp_path / "other", {"name": str(path), "labels_per_class": 5, "seed": 0})
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(one / "config.json", begun)
    for arguments, message in (
        ([one], "needs two finished runs at least, got 1"),
        ([one, one], "needs two finished runs at least, got 1"),
        ([one, tmp_path / "nothing"], "not a run folder"),
        ([one, begun], "is not finished: continue it"),
        ([one, other], "test examples 40 of 4 x 4 x 1, not 359 of 8 x 8 x 1"),
        ([one, made / "better-seed0", "--out", tmp_path], "is a folder: name a file"),
    ):
        assert main(["compare", *map(str, arguments)]) == 2
        complaint = capsys.readouterr().err
        assert message in complaint
        assert complaint.count("\n") == 1


def test_how_often_lines_agree_by_chance():
    row = comparison.Row(measure_of("accuracy"), [{0: 0.5, 1: 0.5, 2: 0.5}, dict.fromkeys("012")])
    assert page_of_comparison._agreement(row) == "A point for each seed."
    row = row._replace(values=[PLAIN, BETTER])
    assert "3 lines all go the same way in one of 4 cases" in page_of_comparison._agreement(row)


def test_a_run_without_labels_is_compared_by_its_clusters():
    measured = {"accuracy": 0.1, "clustering_accuracy": 0.9, "log_loss": 3.0}
    found = comparison._figures(finished("/x", config_of(0), **measured))
    assert found == {"clustering_accuracy": 0.9, "seconds": 2.0}


def test_the_runs_of_a_sweep_are_found_two_levels_deep(made, tmp_path):
    sweep, said = tmp_path / "sweep", []
    for place in ("trial-000/seed-0", "trial-000/seed-1", "trial-001/seed-0", "a/b/seed-0"):
        (sweep / place).mkdir(parents=True)
        for name in ("config.json", "metrics.json"):
            shutil.copy(made / "plain-seed0" / name, sweep / place)
    (sweep / "trial-001" / "seed-1").mkdir()
    shutil.copy(made / "plain-seed0" / "config.json", sweep / "trial-001" / "seed-1")
    nested = sweep / "trial-000" / "seed-0" / "export"
    nested.mkdir()
    shutil.copy(made / "plain-seed0" / "config.json", nested)  # of the run, no run
    (sweep / "trial-001" / "round").symlink_to(sweep)
    (sweep / "again").symlink_to(sweep / "trial-000")
    found = find_runs([sweep], said.append)
    assert {str(run.folder.resolve().relative_to(sweep)) for run in found} == {
        *("trial-000/seed-0", "trial-000/seed-1", "trial-001/seed-0"),
    }
    assert len(found) == 3
    assert said == [f"{sweep / 'trial-001' / 'seed-1'} is not finished and left out"]


def test_find_runs_takes_a_run_once(made):
    runs = find_runs([made, made / "plain-seed0"], print)
    assert len(runs) == len(PLAIN) + len(BETTER)
