"""What a run says on its way: lines for people, or JSON for machines."""

import json
import math
import sys
import time
from typing import Any, Protocol

_open_lines: list[int] = []  # the epochs on a terminal's last line, while it is rewritten
_LINES = 20  # of the epochs of a run whose output goes to a file


class Say(Protocol):
    """A function that passes on what a run has to say."""

    def __call__(self, text: str, event: str = "note", **fields: Any) -> None:
        """Say `text`; `event` and `fields` are the same for machines."""


def to_people(text: str, event: str = "note", **fields: Any) -> None:
    """Print a line; of epochs, rewrite one line on a terminal and write about 20 into a file."""
    if event != "epoch":
        end_line()
        print(text, flush=True)
        return
    epoch, epochs = fields["epoch"], fields["epochs"]
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)
        _open_lines.append(epoch)
        if epoch == epochs:
            end_line()
    elif epoch % max(1, epochs // _LINES) == 0 or epoch == epochs:
        print(text, flush=True)


def end_line() -> None:
    """End the line of epochs that is being rewritten on a terminal, if there is one."""
    if _open_lines:
        _open_lines.clear()
        print(flush=True)


def as_json(text: str, event: str = "note", **fields: Any) -> None:
    """Print one JSON object a line: "event", "time" (seconds since 1970), the fields, "text".

    What is not finite becomes null: JSON has no other word for it.
    """
    line = {"event": event, "time": round(time.time(), 3), **fields, "text": text}
    print(json.dumps(finite(line), ensure_ascii=False), flush=True)


def finite(value: Any) -> Any:
    """Return `value`, of dicts, lists and numbers, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
