"""The versions and devices that a run depends on, noted for every session that works on it."""

import datetime
import platform
import subprocess
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfssvae
from tfssvae import limits
from tfssvae.checks import InputError, printable
from tfssvae.runs.folder import write_json
from tfssvae.training.messages import Say

_NAME = "sessions.json"


def environment() -> dict[str, str]:
    """Return versions, platform, devices, and the commit where the library is run from one."""
    found = {
        "tfssvae": tfssvae.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": ", ".join(device.device_type for device in tf.config.list_logical_devices()),
    }
    commit = _commit(Path(tfssvae.__file__).parent)
    return found if commit is None else {**found, "commit": commit}


def note_session(folder: Path, say: Say) -> None:
    """Add the beginning session to sessions.json; say what differs from the first one."""
    path, now = folder / _NAME, environment()
    try:
        sessions = limits.read_json_value(path)
        first = {name: str(value) for name, value in sessions[0]["environment"].items()}
    except (InputError, LookupError, TypeError, AttributeError):
        sessions, first = [], now
    different = sorted(name for name in {*now, *first} if now.get(name) != first.get(name))
    if different:
        say(
            "the run began under another "
            + ", ".join(
                printable(f"{name} ({first.get(name)}, now {now.get(name)})") for name in different
            )
            + ": its last bits may differ from those of a whole run",
            event="environment",
        )
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    write_json(path, [*sessions, {"started": started, "environment": now}])


def _commit(folder: Path) -> str | None:
    """Return the commit of a source tree, with a plus where files differ from it."""
    if not (folder.parent / ".git").exists():
        return None
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
