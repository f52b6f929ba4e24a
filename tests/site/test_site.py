"""The documentation site: it builds without a warning, and nothing that is public is missing."""

import argparse
import html
import re
import shlex
import subprocess
import sys
from importlib import import_module
from inspect import ismodule
from pathlib import Path

import pytest

import tfssvae
from tfssvae import cli
from tfssvae.cli.parser import make_parser
from tfssvae.recipes import TABLES

ROOT = Path(__file__).parents[2]
INTERNAL = {"checks"}  # of the packages of tfssvae: named on its page, not described
DOCUMENTS = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("[!.]*/README.md")],
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages: path without index.html -> text."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-3000:]
    pages = folder.rglob("index.html")
    return {p.parent.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in pages}


def visible(page):
    """The text of a page, without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def commands(parser, words=()):
    """Every command with its parser: ("train",) -> parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield (*words, name), command
                yield from commands(command, (*words, name))


def public_names():
    packages = ["tfssvae"] + [
        f"tfssvae.{name}"
        for name in tfssvae.__all__
        if ismodule(getattr(tfssvae, name)) and name not in INTERNAL
    ]
    for package in packages:
        module = import_module(package)
        for name in module.__all__:
            if not ismodule(getattr(module, name)):
                yield package, name


def test_every_public_name_has_an_entry(site):
    names = list(public_names())
    assert len(names) > 150
    missing = [
        f"{package}.{name}"
        for package, name in names
        if f'id="{package}.{name}"'
        not in site[f"api/{package.removeprefix('tfssvae')[1:]}".strip("/")]
    ]
    assert not missing


def test_every_command_and_option_is_described(site):
    sections = {visible(text).partition("¶")[0]: text for text in site["command_line"].split("<h2")}
    described = {title.rpartition(">")[2]: text for title, text in sections.items()}
    found = dict(commands(make_parser()))
    assert ("train",) in found
    for words, parser in found.items():
        terms = re.findall(r"<dt>(.*?)</dt>", described[f"tfssvae {' '.join(words)}"])
        entries = [re.split(r"[ ,]+", visible(term)) for term in terms]
        for action in parser._actions:
            if action.option_strings and action.dest != "help":
                assert any(action.option_strings[-1] in entry for entry in entries), (words, action)
            assert action.option_strings or entries, words


def test_every_exit_code_is_described(site):
    codes = {value for value in vars(cli).values() if isinstance(value, int)}
    assert {0, 1, 2, 130} <= codes
    described = set(map(int, re.findall(r"<tr>\s*<td>(\d+)</td>", site["command_line"])))
    assert codes == described


def test_every_published_table_is_listed(site):
    page = visible(site["reproducing"])
    assert [name for name in TABLES if name not in page or TABLES[name].title not in page] == []


def test_every_method_is_compared(site):
    page = visible(site["methods"])
    assert [name for name in tfssvae.METHODS if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_a_tutorial_shows_the_sections_of_its_script(site, path):
    page = next(text for name, text in site.items() if "tutorials/" in name and path.name in text)
    sections = re.findall(
        r"\[start:(\w+)\]\n(.*?)\n *# --8<-- \[end:\1\]", path.read_text(), re.DOTALL
    )
    assert len(sections) >= 2
    shown = re.sub(r"\s", "", visible(page))
    for name, text in sections:
        assert re.sub(r"\s", "", text) in shown, name


def test_nothing_is_fetched_from_a_network(site):
    for name, page in site.items():
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"(https?:[^\"]*)", page
        )
        assert loaded == [], name


def test_no_markup_is_left_over(site):
    for name, page in site.items():
        article = page.partition("<article")[2].partition("</article>")[0]
        prose = visible(re.sub(r"<(pre|code|math)\b.*?</\1>", "", article, flags=re.DOTALL))
        prose = prose.replace("$TFSSVAE_DATA", "")
        assert re.findall(r"[`$]|<!--|\]\(|^\|.*", prose, re.MULTILINE) == [], name
        assert "--8" not in visible(article), name
        assert "<blockquote" not in article, name  # what becomes of a doctest that is not a block
    assert site["methods/m2"].count("<math") > 15


def blocks(path, *languages):
    """The fenced blocks of a document in any of these languages, in their order."""
    fence = r"^( *)```([^\n`]*)\n(.*?)^\1```$"
    found = re.findall(fence, path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for _, language, text in found if language in languages]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_of_the_documents_are_accepted(path, capsys):
    """The parser takes every `tfssvae ...` line of a block: no option is misspelt or gone."""
    text = "".join(blocks(path, "bash", "")).replace("\\\n", " ")
    refused = {}
    for line in (line for line in text.splitlines() if line.startswith("tfssvae ")):
        try:
            make_parser().parse_args(shlex.split(line, comments=True)[1:])
        except SystemExit:
            refused[line] = capsys.readouterr().err
    assert refused == {}


@pytest.mark.slow
@pytest.mark.parametrize("page", ["faq", "quickstart"])
def test_the_code_of_a_page_runs(page, tmp_path):
    """In its order, in an empty folder."""
    code = "\n".join(blocks(ROOT / f"docs/{page}.md", "python"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
