"""The page, its files, and the check of links while they are typed."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve.errors import BadRequest, TopgenreError
from serve.http.bodies import Check
from serve.http.files import PageFiles
from serve.http.replies import Json, error_response
from serve.sources.youtube import video_id, watch_url

_WEB = PageFiles(Path(__file__).parent / "web", "index.html")


async def check(request: Request) -> Response:
    """Whether a link is one that would be taken, in `predict`'s own words; nothing is fetched."""
    url = request.query_params.get("url")
    try:
        if url is None:
            raise BadRequest("The address lacks a url to check.")
        found = video_id(url)
    except TopgenreError as error:
        return error_response(error, request.state.request_id)
    return Json(Check(found, watch_url(found)))


#: The page and its files: what a browser gets, no part of the API.
PAGE_ROUTES = [
    Route("/", _WEB.page),
    Route("/web/{version}/{name:path}", _WEB.file),
]
