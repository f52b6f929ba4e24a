"""`tfssvae serve`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tfssvae.checks import InputError
from tfssvae.cli.arguments import not_negative, port
from tfssvae.library_errors import install_hint


def add(commands) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "serve",
        allow_abbrev=False,
        help="serve exported models on this machine, for development",
        description="Answer predict, metadata and status requests of TensorFlow Serving, REST and "
        "gRPC, over exported models. It is for trying things out: there is no encryption and no "
        "login. A SavedModel is a program: serve those that you would run. "
        'It needs the extra "serving": pip install -e ".[serving]" in a checkout.',
        epilog="examples:\n  tfssvae serve saved_models/mnist_m2\n"
        "  tfssvae serve digits=saved_models/a shapes=saved_models/b --batching",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="[NAME=]DIR",
        help="a folder of numbered versions, of which new ones are taken up; its own name is the "
        "model's unless NAME is given",
    )
    parser.add_argument("--name", metavar="NAME", help="the model's name, where there is one DIR")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen at (127.0.0.1)"
    )
    parser.add_argument(
        "--rest-port", type=port, default=8501, metavar="P", help="0 takes any free one (8501)"
    )
    parser.add_argument(
        "--grpc-port", type=port, default=8500, metavar="P", help="0 takes any free one (8500)"
    )
    parser.add_argument(
        "--batching",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="merge requests along their first axis (off)",
    )
    parser.add_argument(
        "--max-batch-size", type=int, default=128, metavar="N", help="rows of a batch (128)"
    )
    parser.add_argument(
        "--batch-timeout-ms",
        type=not_negative,
        default=5.0,
        metavar="T",
        help="how long a request waits for others (5)",
    )
    parser.add_argument(
        "--max-request-mb",
        type=not_negative,
        default=64.0,
        metavar="MB",
        help="larger requests are refused (64)",
    )
    parser.set_defaults(run=run)


def run(options) -> None:
    """Serve until interrupted."""
    models = _named_folders(options.models, options.name)
    if options.max_batch_size < 1:
        raise InputError(f"--max-batch-size must be at least 1, got {options.max_batch_size}")
    if options.rest_port == options.grpc_port != 0:
        raise InputError(f"--rest-port and --grpc-port are both {options.rest_port}: give two")
    try:
        from tfssvae.serving.development import server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tfssvae"):
            raise
        raise InputError(
            f"serve needs {error.name}, which is not installed: {install_hint('serving')}"
        ) from None
    if not server.is_loopback(options.host):
        print(
            f"tfssvae: warning: {options.host} can be reached from other machines; this server has "
            "no encryption and no login",
            file=sys.stderr,
        )
    names = ("host", "rest_port", "grpc_port", "batching", "max_batch_size", "batch_timeout_ms")
    chosen = {name: getattr(options, name) for name in (*names, "max_request_mb")}
    server.serve(models, server.Settings(**chosen))


def _named_folders(texts: Sequence[str], name: str | None) -> dict[str, Path]:
    """Return {"digits": Path("a")} for ["digits=a"]; the name of a folder is its last part."""
    if name is not None and len(texts) > 1:
        raise InputError("--name is for one DIR: give NAME=DIR for each of several")
    folders: dict[str, Path] = {}
    for text in texts:
        given, separator, path = text.rpartition("=")
        # A folder may have "=" in its name.
        if not separator or Path(text).is_dir():
            given, path = "", text
        found = name or given or Path(path).resolve().name
        if found in folders:
            raise InputError(f'two models are called "{found}": give NAME=DIR for one of them')
        folders[found] = Path(path)
    return folders
