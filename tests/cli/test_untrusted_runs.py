"""Run folders and arguments made by others, on the command line: exit code 2 and one sentence."""

import html
import json
import os
import shutil

import numpy as np
import pytest

from tfssvae.checked_json import read_metrics, read_state
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.report.page import (
    Code,
    Fact,
    Gallery,
    Head,
    Picture,
    Section,
    Shown,
    Table,
    page_html,
)
from tfssvae.runs import read_config
from tfssvae.runs.build import build, make_optimizer

CONFIG = {
    "method": "m2",
    "data": {"name": "digits", "seed": 0},
    "model": {},
    "epochs": 1,
    "labelled": 10,
    "unlabelled": 20,
    "driver": "loop",
    "precision": "float32",
    "checkpoint_seconds": 30.0,
    "learning_rate": 0.001,
}
METRICS = {"seconds": 1.0, "history": {"loss": [1.0]}, "environment": {"python": "3"}}


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", ["m2"]),
        ("method", "__class__"),
        ("data", "digits"),
        ("data", {"name": 3}),
        ("data", {"name": "digits", "seed": "0"}),
        ("model", []),
        ("epochs", 0),
        ("epochs", "many"),
        ("epochs", True),
        ("epochs", 10**30),
        ("driver", None),
        ("precision", "float8"),
        ("labelled", -1),
        ("unlabelled", 1.5),
        ("unfeatured", "0"),
        ("learning_rate", float("nan")),
        ("learning_rate", [0.1]),
        ("checkpoint_seconds", float("inf")),
        ("optimizer", "adam"),
        ("default_weights", "mine"),
        ("likelihood_samples", 5),
        ("likelihood_samples", [0]),
    ],
)
def test_values_of_another_kind_in_a_configuration(tmp_path, capsys, name, value):
    written(tmp_path / "config.json", {**CONFIG, name: value})
    assert main(["train", "--resume", str(tmp_path)]) == 2
    complaint = capsys.readouterr().err
    assert f"config.json is damaged: {name} must be" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"n": ' + "9" * 5000 + "}", "{}".encode("utf-16")[1:], "[]", "3", ""],
    ids=["nested", "digits", "utf-16", "list", "number", "empty"],
)
def test_files_that_are_not_the_json_of_a_run(tmp_path, content):
    # The first three were errors of Python.
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", "1"),
        ("history", [1]),
        ("history", {"loss": "3"}),
        ("environment", {"python": 3}),
        ("test", [0.5]),
        ("test", {"accuracy": "<b>"}),
        ("test", {"recall": 3}),
        ("test", {"recall": {"0": "x"}}),
        ("test", {"decoded_as": {"0": 1}}),
        ("labels_alone", {}),
    ],
)
def test_values_of_another_kind_in_metrics(tmp_path, name, value):
    path = written(tmp_path / "metrics.json", {**METRICS, name: value})
    with pytest.raises(InputError, match=rf"metrics\.json is damaged: {name} must be"):
        read_metrics(path)
    assert read_metrics(written(path, METRICS)) == METRICS


def test_a_pipe_for_a_configuration_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "config.json")
    assert main(["train", "--resume", str(tmp_path)]) == 2
    assert "config.json cannot be read: it is a pipe" in capsys.readouterr().err


@pytest.mark.parametrize("depth", [9, 300, 700])
def test_figures_nested_deeper_than_arrays_have_axes(tmp_path, depth):
    # 300 axes ended the process in TensorFlow; 700 were more than Python could follow.
    nested = json.loads("[" * depth + "]" * depth)
    metrics = {"seconds": 1.0, "history": {}, "environment": {}, "test": {"recall_of": nested}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=r"metrics\.json is damaged: test"):
        read_metrics(tmp_path / "metrics.json")
    state = {"epoch": 1, "step": 1, "seconds": 1.0, "history": {}, "best": None, "context": {}}
    (tmp_path / "state.json").write_text(json.dumps({**state, "metrics": [nested]}))
    with pytest.raises(InputError, match=r"state\.json is damaged: metrics"):
        read_state(tmp_path / "state.json")


@pytest.mark.parametrize("text", ["(" * 9000 + ")" * 9000, "-" * 100_000 + "1"])
def test_settings_nested_without_end(capsys, tmp_path, text):
    command = ["train", "m2", "--data", "digits", "--out", str(tmp_path / "run")]
    assert main([*command, "--set", f"latent_dim={text}"]) == 2
    assert len(capsys.readouterr().err) < 500
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("padding", ["1e400", "nan", "-1", "'a'", "None", "[1]"])
def test_arguments_of_parts_that_are_no_numbers(capsys, tmp_path, padding):
    # 1e400 is infinite, and no integer: OverflowError.
    command = ["train", "m2", "--data", "digits", "--out", str(tmp_path / "run")]
    assert main([*command, "--augment", f"crop:padding={padding}"]) == 2
    assert "--augment crop:padding=" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labelled", "unlabelled", "precision", "learning_rate", "seed"])
def test_a_configuration_that_lacks_what_training_needs(name):
    # Each was a KeyError.
    config = {key: value for key, value in CONFIG.items() if key != name}
    config["data"] = {key: value for key, value in config["data"].items() if key != name}
    with pytest.raises(InputError, match=f"the configuration lacks {name}"):
        build(config, None)


@pytest.mark.parametrize(
    "part",
    [
        {"learning_rate": {}},
        {"learning_rate": {"module": "keras.optimizers", "class_name": "Adam", "config": {}}},
        {"optimizer": {}},
        {
            "optimizer": {
                "module": "keras.optimizers.schedules",
                "class_name": "CosineDecay",
                "config": {"initial_learning_rate": 1.0, "decay_steps": 3},
            }
        },
    ],
)
def test_what_is_no_optimizer(part):
    # Keras's own errors, or those of the first step.
    with pytest.raises(InputError, match=r"cannot be used|for an optimizer"):
        make_optimizer({**CONFIG, **part})


def test_layers_beyond_memory(capsys, tmp_path):
    command = ["train", "m2", "--data", "digits", "--out", str(tmp_path / "run")]
    assert main([*command, "--set", "hidden=(1000000,1000000)"]) == 2
    assert "MiB of memory are free: make its layers smaller" in capsys.readouterr().err


def test_names_do_not_steer_the_terminal(capsys):
    assert main(["train", "m2", "--data", "\x1b[2Jnone\nnone"]) == 2
    complaint = capsys.readouterr().err
    assert r"\x1b[2Jnone\nnone" in complaint
    assert complaint.count("\n") == 1


EVIL = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{0}{title}%s"


def test_text_of_runs_is_text_in_the_report():
    # Class names, data names, settings and versions come from files.
    from matplotlib.figure import Figure

    picture = Picture(lambda: Figure(figsize=(1, 1)), EVIL, EVIL)
    shown = Gallery([Shown(np.zeros((2, 2, 1), "float32"), EVIL, EVIL)], EVIL)
    parts = [Table((EVIL, EVIL), [(EVIL, EVIL)]), Code(EVIL), shown, picture]
    head = Head(EVIL, [EVIL], [EVIL], [Fact(EVIL, EVIL, EVIL)])
    page = page_html(head, [Section(EVIL, EVIL, parts, chapter=EVIL)])
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "onerror=alert(1)&gt;" in page
    assert page.count("<title>") == 1
    assert 'id="' + EVIL[:3] not in page
    outside = [part.split('"')[0] for part in page.split('alt="')[1:]]
    assert {html.unescape(text) for text in outside} == {EVIL, f"{EVIL}, {EVIL}"}
    assert not any("<" in text or ">" in text for text in outside)
    assert "default-src 'none'" in page


def test_a_folder_is_read_and_not_followed(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").symlink_to("config.json")
    assert main(["evaluate", str(folder)]) == 2
    shutil.rmtree(folder)
    assert capsys.readouterr().err.count("\n") == 1
