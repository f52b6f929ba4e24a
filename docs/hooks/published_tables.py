"""The list of experiments that `tfssvae reproduce` knows: `<!-- published tables -->`."""

from tfssvae.recipes import TABLES

PLACEHOLDER = "<!-- published tables -->"


def on_page_markdown(markdown: str, **_) -> str:
    """Fill the placeholder."""
    if PLACEHOLDER not in markdown:
        return markdown
    rows = [_row(name, TABLES[name]) for name in TABLES]
    head = "| name | experiment | `--data` | epochs |\n|---|---|---|---|"
    return markdown.replace(PLACEHOLDER, "\n".join([head, *rows]))


def _row(name: str, table) -> str:
    data = ", ".join(f"`{data}`" for data in table.data)
    return f"| `{name}` | {table.title} | {data} | {table.epochs} |"
