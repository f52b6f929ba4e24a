"""The page of the command line: `<!-- commands -->` becomes every command with its options."""

import argparse
import html
import os
import re
from collections.abc import Iterator

from tfssvae.cli.parser import make_parser

PLACEHOLDER = "<!-- commands -->"
WIDTH = "76"  # of usage lines: what a page shows without a scroll bar


def on_page_markdown(markdown: str, **_) -> str:
    """Fill the placeholder."""
    if PLACEHOLDER not in markdown:
        return markdown
    os.environ["COLUMNS"] = WIDTH
    described = "\n".join(_command(parser) for parser in _commands(make_parser()))
    return markdown.replace(PLACEHOLDER, described)


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands, and of the commands of these."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                yield command
                yield from _commands(command)


def _command(parser: argparse.ArgumentParser) -> str:
    parts = [
        f"## {parser.prog}",
        _escaped(parser.description or ""),
        f"```text\n{_usage(parser)}\n```",
    ]
    parts += [_option(parser, action) for action in parser._actions if _shown(action)]
    if parser.epilog:
        parts.append(_examples(parser.epilog))
    return "\n\n".join(parts) + "\n"


def _usage(parser: argparse.ArgumentParser) -> str:
    """Return the usage, whose lines argparse would indent by the length of the command."""
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    return re.sub(r"\n +", "\n    ", usage)


def _shown(action: argparse.Action) -> bool:
    commands = isinstance(action, argparse._SubParsersAction)
    return not commands and action.help is not argparse.SUPPRESS and action.dest != "help"


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    spelled = formatter._format_action_invocation(action)
    text = formatter._expand_help(action) if action.help else ""
    if action.choices is not None:
        text += f"; one of: {', '.join(map(str, action.choices))}"
    return f"<code>{html.escape(spelled).replace('|', '&#124;')}</code>\n:   {_escaped(text)}"


def _examples(epilog: str) -> str:
    """Return the epilog: its title as text, its indented lines as a block."""
    title, _, lines = epilog.strip().partition("\n")
    block = "\n".join(line.removeprefix("  ") for line in lines.splitlines())
    return f"{_escaped(title.capitalize())}\n\n```text\n{block}\n```" if lines else _escaped(epilog)


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]#$])", r"\\\1", html.escape(text, quote=False))
