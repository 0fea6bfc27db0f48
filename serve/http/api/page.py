"""The documentation page: Swagger UI over `/openapi.json`, both from this server."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Route

from serve.http.files import PageFiles

# Made by deploy/vendor.py; `page.html` and `start.js` are ours.
_SWAGGER = PageFiles(Path(__file__).parent.parent / "swagger", "page.html")

#: The page and its files: what a browser gets, no part of the API.
DOCS_ROUTES = [
    Route("/docs", _SWAGGER.page),
    Route("/web/docs/{version}/{name:path}", _SWAGGER.file),
]
