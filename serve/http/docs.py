"""The documentation page: Swagger UI over `/openapi.json`, both from this server."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

# Made by deploy/vendor-swagger-ui; `page.html` and `start.js` are ours.
_FILES = Path(__file__).parent / "swagger"


async def docs(_: Request) -> Response:
    """The page."""
    return FileResponse(_FILES / "page.html", headers={"Cache-Control": "no-cache"})


#: The page and its files: what a browser gets, no part of the API.
DOCS_ROUTES = [
    Route("/docs", docs),
    Mount("/web/docs", StaticFiles(directory=_FILES)),
]
