"""Run folders that were never trained, and pages as the tests read them."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import keras
from PIL import Image

from tfssvae import data, models
from tfssvae.cli import main

HISTORY = {
    "loss": [3.0, 2.0],
    "accuracy": [0.5, 0.75],
    "monitor/mutual_information": [0.25, 0.5],
    "monitor/entropy": [2.0, 1.0],
}
DIGITS = {"name": "digits", "labels_per_class": 5, "seed": 0}


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
        if self._inside in ("h1", "h3"):
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
    targets = {tag["id"] for tag in page.having("section") + page.having("article")}
    assert {link[1:] for link in linked} == targets
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import|https?:", page.text)


def make_run(folder, source, name="m2", history=HISTORY, optimizer=None, **arguments):
    """Fill a run folder as training does, without training."""
    loaded = data.load(**source)
    small = (
        {"latent_dims": (4, 3), "hidden": (12,)}
        if name == "cagem"
        else {"latent_dim": 3, "hidden": (12,)}
    )
    sizes = {**small, **arguments}
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
