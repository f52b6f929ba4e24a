"""Messages that pass on what others say: errors of outside libraries, and what to install."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import library_errors, networks
from tfssvae.checks import InputError
from tfssvae.library_errors import install_hint, reason

ROOT = Path(__file__).parents[1]
TEXTS = ("*.py", "*.md", "*.yml", "*.yaml", "*.toml", "Makefile", "Dockerfile*")


def raised(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return caught.value


class Failing(keras.Model):
    """A network whose product does not fit, in the graph or not."""

    def call(self, x, training=None):
        return tf.matmul(x, tf.ones((5, 5)))


@tf.function
def looped(x):
    for _ in tf.range(3):
        x = tf.matmul(x, tf.ones((5, 5)))
    return x


@tf.function
def refused_in_the_graph(x):
    tf.debugging.assert_less(x, 1.0, "x must be below 1")
    return x


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])(tf.ones((2, 4))),
            r"Input 0 .*is incompatible with the layer: expected .* \(2, 4\)",
        ),
        (lambda: Failing()(tf.ones((2, 4))), r"Matrix size-incompatible: In\[0\]: \[2,4\].*5\]"),
        (lambda: looped(tf.ones((2, 4))), "Dimensions must be equal, but are 4 and 5.*"),
        (lambda: refused_in_the_graph(tf.constant(2.0)), "assertion failed: .x must be below 1.*"),
        (lambda: [].index(3), "3 is not in list"),
        (lambda: next(iter([])), "StopIteration"),
    ],
    ids=["a layer", "an operation", "a function", "an assertion", "Python", "no message"],
)
def test_the_line_that_tells_is_quoted(call, said):
    found = reason(raised(call))
    assert re.fullmatch(said, found), found
    assert not re.search(r"[\x00-\x1f]|\{\{|\[Op:", found)


def test_long_errors_are_cut():
    assert len(reason(ValueError("word " * 1000))) < 310


def test_networks_that_do_not_fit_are_refused_in_a_sentence():
    other = networks.mlp((28, 28, 1), (8,))
    with pytest.raises(InputError) as refused:
        tfssvae.models.M2((8, 8, 1), 3, 2, classifier=keras.Sequential([other]))
    message = str(refused.value)
    assert "do not fit together" in message
    assert "expected shape=(None, 28, 28, 1)" in message
    assert "Arguments received" not in message
    assert not re.search(r"\\n|\\x1b", message), message


def test_install_hints_name_the_checkout():
    """pip understands the command as this folder with the extra."""
    command = install_hint("sweep")
    assert command == f"pip install -e '{ROOT}[sweep]'"


def test_install_hints_name_the_packages_of_a_wheel(monkeypatch, tmp_path):
    monkeypatch.setattr(library_errors, "__file__", str(tmp_path / "tfssvae" / "library_errors.py"))
    monkeypatch.setattr(
        "importlib.metadata.requires",
        lambda name: [
            "numpy>=2",
            'optuna<6,>=5; extra == "sweep"',
            "grpcio<2; extra == 'serving'",
            'mkdocs; python_version < "3.11" and extra == "docs"',
            'h11; extra == "serving"',
        ],
    )
    assert install_hint("sweep") == "pip install 'optuna<6,>=5'"
    assert install_hint("serving") == "pip install 'grpcio<2' h11"
    assert install_hint("docs") == "pip install mkdocs"


def test_install_hints_of_a_copy_without_metadata(tmp_path):
    (tmp_path / "tfssvae").mkdir()
    (tmp_path / "tfssvae/library_errors.py").write_text(
        (ROOT / "tfssvae/library_errors.py").read_text()
    )
    code = (
        "import sys, importlib.metadata as m, numpy; m.distributions = None\n"
        "def absent(name): raise m.PackageNotFoundError(name)\n"
        "m.requires = absent\n"
        f"sys.path.insert(0, {str(tmp_path / 'tfssvae')!r})\n"
        "import library_errors; print(library_errors.install_hint('sweep'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'extra "sweep"' in done.stdout


def test_every_extra_that_is_hinted_at_exists():
    setup = (ROOT / "setup.py").read_text()
    hinted = {
        extra
        for file in (ROOT / "tfssvae").rglob("*.py")
        for extra in re.findall(r"""install_hint\(["'](\w+)["']\)""", file.read_text())
    }
    assert {"sweep", "serving", "convert"} <= hinted
    assert [extra for extra in hinted if f'"{extra}": ' not in setup] == []


def test_no_text_installs_from_an_index_that_lacks_the_library():
    tracked = subprocess.run(
        ["git", "ls-files", *TEXTS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(tracked) > 100
    wrong = re.compile(r"""pip install (-\S+ )*["']?tfssvae\b""")
    found = [file for file in tracked if wrong.search((ROOT / file).read_text(encoding="utf-8"))]
    assert found == []
