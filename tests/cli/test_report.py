"""`tfssvae report`: what the page says is what the run is, and nothing from outside is in it."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfssvae
from tfssvae import data, models, runs
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.regularizers import MIER
from tfssvae.report.page import Picture, Section, Table, page_html
from tfssvae.report.run import Run, check_same_data, named_apart
from tfssvae.training import PartOptimizer, ramp_down

HISTORY = {
    "loss": [3.0, 2.0],
    "accuracy": [0.5, 0.75],
    "monitor/mutual_information": [0.25, 0.5],
    "monitor/entropy": [2.0, 1.0],
}
TEST_PICTURES = ("Confusion", "Calibration", "Feature map", "Entropy", "Bound")
IMAGE_PICTURES = ("Generated images", "Reconstructions")
STYLES = "Styles"
CURVES = ("Learning curves", "Information during training")


class Page(HTMLParser):
    """The parts of a page that the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.headings, self.cells = text, [], [], []
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_data(self, text):
        if self._inside in ("h1", "h2"):
            self.headings.append(text)
        elif self._inside in ("td", "th"):
            self.cells[-1][-1] += text

    def handle_endtag(self, tag):
        self._inside = None

    def row(self, name):
        (found,) = (row[1:] for row in self.cells if row[0] == name)
        return found

    def having(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def assert_alone(page):
    """Every picture is inside the page, and nothing else is asked for."""
    sources = [image["src"] for image in page.having("img")]
    sources += [source["srcset"] for source in page.having("source")]
    assert sources
    for source in sources:
        kind, _, content = source.partition(",")
        assert kind == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(content, validate=True))).verify()
    linked = [value for _, tag in page.tags for key, value in tag.items() if key == "href"]
    assert all(link.startswith("#") for link in linked)
    targets = {tag["id"] for tag in page.having("section")}
    assert {link[1:] for link in linked} == targets
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import|https?:", page.text)


def make_run(folder, source, name="m2", history=HISTORY, optimizer=None, **arguments):
    """Fill a run folder as training does, without training."""
    loaded = data.load(**source)
    sizes = {"latent_dim": 3, "hidden": (12,), **arguments}
    model = models.METHODS[name](loaded.input_shape, loaded.num_classes, **sizes)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    folder.mkdir()
    model.save(folder / "model.keras")
    loaded.save_split(folder / "split.json")
    serialize = keras.saving.serialize_keras_object
    config = {
        "method": name,
        "data": source,
        "model": {key: serialize(value) for key, value in arguments.items()},
        "epochs": 2,
        "labelled": 50,
        "unlabelled": 200,
        "driver": "loop",
        "precision": "float32",
        "learning_rate": 1e-3,
    }
    if optimizer is not None:
        config["optimizer"] = serialize(optimizer)
    (folder / "config.json").write_text(json.dumps(config))
    metrics = {"seconds": 61.4, "history": history, "environment": {"keras": "3.0", "devices": "X"}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def report(capsys, *arguments):
    assert main(["report", *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    path = printed.strip().rpartition("wrote ")[2]
    with open(path, encoding="utf-8") as file:
        return Page(file.read()), printed


DIGITS = {"name": "digits", "labels_per_class": 5, "seed": 0}


def test_the_report_of_a_trained_run(tmp_path, capsys):
    folder = tmp_path / "run"
    command = ["train", "m2", "--data", "digits", "--labels-per-class", "5", "--epochs", "2"]
    command += ["--set", "hidden=(16,)", "--set", "latent_dim=3", "--driver", "fit"]
    command += ["--out", str(folder)]
    assert main(command) == 0
    capsys.readouterr()
    page, printed = report(capsys, folder)
    assert printed.strip().endswith(f"wrote {folder / 'report.html'}")
    assert "measuring 359 test examples" in printed
    assert "drawing reconstructions" in printed
    assert_alone(page)
    title, *headings = page.headings
    assert title == "M2 on digits"
    assert set(headings) == {
        "Summary",
        "Test figures",
        *CURVES,
        *TEST_PICTURES,
        *IMAGE_PICTURES,
        STYLES,
        "Divergence from the hidden labels",
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    found, alone = metrics["test"], metrics["labels_alone"]
    assert page.row("accuracy") == [f"{found['accuracy']:.2%}", f"{alone['accuracy']:.2%}"]
    assert page.row("log loss, nats") == [f"{found['log_loss']:.4f}", f"{alone['log_loss']:.4f}"]
    bound = page.row("bound on log p(x), nats: mean ± deviation over examples")[0]
    assert float(bound.split(" ± ")[0]) == pytest.approx(found["unlabelled_bound"], abs=0.006)
    model, loaded = runs.load_run(folder)
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


def test_runs_side_by_side(tmp_path, capsys):
    plain = make_run(tmp_path / "plain", DIGITS)
    longer = {key: [*values, values[-1]] for key, values in HISTORY.items()}
    sgd = keras.optimizers.SGD(ramp_down(0.1, 5, 9), momentum=0.9)
    adam = keras.optimizers.Adam(2e-3, weight_decay=0.5)
    mier = make_run(
        tmp_path / "mier",
        DIGITS,
        history=longer,
        optimizer=PartOptimizer(sgd, {"classifier": adam}),
        regularizers=[MIER(beta=2.0, name="mier")],
    )
    out = tmp_path / "new folder" / "page.html"
    # Naming a run twice shows it once.
    page, _ = report(capsys, plain, "--compare", mier, "--compare", plain, "--out", out)
    assert_alone(page)
    assert page.headings[0] == "M2 and M2 + MIER on digits"
    assert page.cells[0] == ["", "M2", "M2 + MIER"]
    assert page.row("settings") == [
        "those of the method",
        "regularizers=(MIER(beta=2, gamma=1, momentum=0, compared=all))",
    ]
    falling = "RampDown(rate=0.1, begin=5, steps=9, gamma=5, origin=0)"
    assert page.row("optimizer") == [
        "Adam(learning_rate=0.001)",
        f"default: SGD(learning_rate={falling}, momentum=0.9); "
        "classifier: Adam(learning_rate=0.002, weight_decay=0.5)",
    ]
    assert len(page.row("accuracy")) == 2
    # The models are equal but for the regularizer, which a bound does not know.
    first, second = page.row("bound on log p(x), nats: mean ± deviation over examples")
    assert first == second
    shown = [image["alt"] for image in page.having("img")]
    for kind in ("Confusion matrix", "t-SNE map", "Generated images"):
        assert f"{kind} of M2" in shown
        assert f"{kind} of M2 + MIER" in shown
    assert shown.count("Reconstructions") == 1
    assert shown.count("Curve of loss") == 1


def data_like(**changes):
    x, y = np.arange(24.0).reshape(6, 2, 2) / 24, np.arange(6) % 2
    values = {"x": x, "y": y, "x_test": x, "y_test": y, "seed": 0, **changes}
    return data.from_arrays(**values)


CHANGES = {
    "training images": {"x": np.zeros((6, 2, 2))},
    "test labels": {"y_test": 1 - np.arange(6) % 2},
    "no test data": {"x_test": None, "y_test": None},
    "class names": {"class_names": ["a", "b"]},
    "size": {"image_size": (3, 3)},
}


def run_of(data, folder="/x/a", name="M2", model=None):
    return Run(Path(folder), name, {}, {}, model, data, None, None, {})


@pytest.mark.parametrize("change", CHANGES)
def test_runs_on_other_data_are_not_compared(change):
    with pytest.raises(InputError, match="/x/b has other data than /x/a"):
        check_same_data(run_of(data_like()), run_of(data_like(**CHANGES[change]), "/x/b"))


def test_runs_that_saw_other_labels_are_compared():
    check_same_data(run_of(data_like()), run_of(data_like(labels_per_class=1, seed=3)))


class Model:
    """Stands for a model where only its name matters."""


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["/x/a"], ["Model"]),
        (["/x/a", "/x/b"], ["Model (a)", "Model (b)"]),
        (["/x/a", "/y/a"], ["Model (/x/a)", "Model (/y/a)"]),
        (["/x/a", "/y/a", "/y/b"], ["Model (/x/a)", "Model (/y/a)", "Model (b)"]),
    ],
)
def test_runs_of_one_name_are_told_apart_by_their_folders(folders, expected):
    found = [run_of(None, folder, "Model", Model()) for folder in folders]
    assert [run.name for run in named_apart(found)] == expected


@pytest.fixture
def nasty(tmp_path):
    """A table without test data in a file whose name is markup."""
    rng = np.random.default_rng(0)
    path = tmp_path / "<b>&amp;'\".npz"
    np.savez(path, x_train=rng.random((40, 6)), y_train=np.arange(40) % 2)
    return {"name": str(path), "labels_per_class": 5, "seed": 0}


def test_a_table_without_test_data_and_markup_in_names(nasty, tmp_path, capsys):
    folder = make_run(tmp_path / "run", nasty, name="m2", likelihood="gaussian")
    config = json.loads((folder / "config.json").read_text())
    config["model"]["note"] = "<script>alert(1)</script>"
    (folder / "config.json").write_text(json.dumps(config))
    page, printed = report(capsys, folder)
    assert "no test data to measure" in printed
    assert_alone(page)
    assert set(page.headings[1:]) == {"Summary", *CURVES}
    name = data.load(**nasty).name
    assert "<b>" in name
    assert page.headings[0] == f"M2 on {name}"
    assert page.row("settings") == ["likelihood=gaussian, note=<script>alert(1)</script>"]
    assert not {"b", "script"} & {tag for tag, _ in page.tags}


def test_a_method_without_a_classifier_has_no_feature_map(tmp_path, capsys):
    history = {"loss": [2.0, 1.0]}
    page, printed = report(capsys, make_run(tmp_path / "run", DIGITS, "vae", history))
    assert "no feature map: VAE has no classifier" in printed
    assert not {"Feature map", STYLES} & set(page.headings)
    assert "Information during training" not in page.headings
    assert {"Entropy", "Bound", *IMAGE_PICTURES} <= set(page.headings)


def test_a_designed_latent_space_is_shown(tmp_path, capsys):
    pictures = {"Latent space", "Latent plane", "V-nat", "Between two classes"}
    run = make_run(tmp_path / "exon", DIGITS, "exon", latent_dim=2)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["test"] = {
        **{"kl_z1": 1.5, "active_units_z1": 3, "accuracy": 2.0},
        **{"kl_to_prior": 1.25, "kl_bounds": {"upper": 7.0}, "activated_units_3": 2},
    }
    metrics["test"] |= {"teacher_accuracy": 0.875, "teacher_error": 0.125}
    (run / "metrics.json").write_text(json.dumps(metrics))
    page, _ = report(capsys, run)
    # What is not measured for the report comes from the run.
    assert page.row("units of z1 in use") == ["3"]
    assert page.row("accuracy") != ["200.00%"]
    assert page.row("accuracy of the Mean Teacher") == ["87.50%"]
    assert page.row("error of the Mean Teacher") == ["12.50%"]
    assert page.row("KL(q(y, z|x) || p(y, z)), nats") == ["1.25"]
    assert page.row("upper bound on it, nats") == ["7.00"]
    assert page.row("3") == ["2"]
    assert pictures <= set(page.headings)
    assert_alone(page)


def break_metrics(folder, content):
    path = folder / "metrics.json"
    path.unlink() if content is None else path.write_text(content)


def test_what_cannot_be_reported_is_one_sentence(nasty, tmp_path, capsys):
    run = make_run(tmp_path / "run", DIGITS)
    other = make_run(tmp_path / "other", nasty, likelihood="gaussian")
    broken = {}
    for name, content in (("unfinished", None), ("damaged", "{"), ("lacking", '{"seconds": 1}')):
        broken[name] = make_run(tmp_path / name, DIGITS)
        break_metrics(broken[name], content)
    for arguments, message in (
        ([tmp_path], "not a run folder"),
        ([run, "--out", tmp_path], "is a folder: name a file"),
        ([run, "--compare", other], "has other data than"),
        ([run, "--compare", broken["unfinished"]], "--resume"),
        ([broken["damaged"]], "damaged"),
        ([broken["lacking"]], "lacks environment, history"),
    ):
        assert main(["report", *map(str, arguments)]) == 2
        complaint = capsys.readouterr().err
        assert message in complaint
        assert complaint.count("\n") == 1
    assert not list(tmp_path.glob("**/*.html"))


def test_the_page_in_light_and_dark():
    def draw():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2, 1))
        figure.text(0.5, 0.5, "text")
        return figure

    table = Table(("", "<one>"), [("<a> & b", "<1>")])
    section = Section("A <title>", "Meaning & more.", [table, Picture(draw, 'alt "quoted"')])
    page = Page(page_html("T", ["lead <p>"], [section]))
    assert page.cells == [["", "<one>"], ["<a> & b", "<1>"]]
    assert "Meaning &amp; more." in page.text
    assert "lead &lt;p&gt;" in page.text
    assert page.headings == ["T", "A <title>"]
    (image,), (source,) = page.having("img"), page.having("source")
    assert image["alt"] == 'alt "quoted"'
    assert source["media"] == "screen and (prefers-color-scheme: dark)"
    for uri, bright in ((image["src"], True), (source["srcset"], False)):
        pixels = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L")
        values = np.asarray(pixels, float)
        assert pixels.size == (2 * int(image["width"]), 2 * int(image["height"]))
        assert (values[0, 0] > 200) == bright  # the ground
        assert np.abs(values - values[0, 0]).max() > 150  # the text stands out from it


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["report", "--help"])
    assert stop.value.code == 0
    assert "--compare" in capsys.readouterr().out
