"""The page of the development server, on which a person tries a model; it needs no other code.

All that it shows comes from the signatures of the SavedModel over REST. The two calls here say what
is served, from the assets that `serving.export` writes.
"""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tfssvae.serving.development.failure import Failure
from tfssvae.serving.development.model_store import ModelStore

_FILES = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
_HEADERS = {
    # Nothing but its own files, whatever a class name or a file name holds.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


def page_routes(store: ModelStore) -> list[BaseRoute]:
    """Return `/` and its files, `/models` and `/models/NAME`.

    Args:
        store: the models that are served.
    """

    async def models(request: Request) -> Response:
        return JSONResponse({"models": store.names})

    # Not async: Starlette runs it in a thread, and a version may have to be loaded.
    def model(request: Request) -> Response:
        found = store.find(request.path_params["name"])
        return JSONResponse(_described(found.path))

    return [
        Route("/models", models),
        Route("/models/{name}", model),
        *(Route(f"/{path}", _file(name)) for path, name in _FILES.items()),
    ]


def _file(name: str):
    path = Path(__file__).parent / "page" / name

    async def answer(request: Request) -> Response:
        return FileResponse(path, headers=_HEADERS)

    return answer


def _described(path: Path) -> dict[str, Any]:
    """Return what the page has to know of a version: interface, class names, provenance.

    Raises:
        Failure: the version was not exported by this library, or its assets are damaged.
    """
    assets = path / "assets"
    try:
        interface = json.loads((assets / "interface.json").read_text(encoding="utf-8"))
        classes = (assets / "class_names.txt").read_text(encoding="utf-8").splitlines()
        provenance = json.loads((assets / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(
            "NOT_FOUND",
            "the page needs a model that tfssvae export has written; this one has no interface "
            f"that can be read ({type(error).__name__})",
        ) from error
    return {"interface": interface, "classes": classes, "provenance": provenance}
