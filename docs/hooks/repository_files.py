"""Pages that are files of the repository, such as CONTRIBUTING.md: `<!-- file: PATH -->`.

Links to other documents are turned to their pages; those to folders and code become plain text,
which the site does not have.
"""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deploy/README.md": "deployment.md",
    "saved_models/README.md": "exported_models.md",
}
PLACEHOLDER = re.compile(r"<!-- file: (\S+) -->")
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")


def on_page_markdown(markdown: str, page, **_) -> str:
    """Fill the placeholder, and turn links that leave docs/."""
    inside = f"docs/{page.file.src_uri}"
    markdown = _turn_links(markdown, inside, page.file.src_uri)
    return PLACEHOLDER.sub(lambda found: _file(found[1], page.file.src_uri), markdown)


def _file(path: str, page: str) -> str:
    return _turn_links((ROOT / path).read_text(encoding="utf-8"), path, page)


def _turn_links(text: str, path: str, page: str) -> str:
    """Return the text of the file `path` with links that hold on the page `page`."""

    def turned(found: re.Match) -> str:
        words, link = found.groups()
        target, hash_sign, anchor = link.partition("#")
        if not target or ":" in target:
            return found[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        inside = PAGES.get(file, file.removeprefix("docs/") if file.startswith("docs/") else "")
        if not inside and (ROOT / file).exists():
            return words
        start = posixpath.dirname(page) or "."
        relative = posixpath.relpath(inside, start) if inside else target
        return f"[{words}]({relative}{hash_sign}{anchor})"

    return LINK.sub(turned, text)
