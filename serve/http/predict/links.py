"""`GET /predict?url=`: a link to an answer, for bookmarks and other pages to lead to."""

from __future__ import annotations

from starlette.requests import Request

from serve.errors import BadRequest


def link_of(request: Request) -> str:
    """The `url` that is asked for; BadRequest where it is missing, or where nobody has asked.

    A link may be followed from anywhere, and code may fetch it as it may POST. But an answer costs
    a download, so that browsers get none ahead of time, and none for pages that name it as an
    image, a script or a frame of theirs (W3C Fetch Metadata; older browsers say nothing).
    """
    headers = request.headers
    ahead = (headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz"))
    if any("prefetch" in purpose or "preview" in purpose for purpose in ahead):
        raise BadRequest("This is answered when it is asked for, not ahead of time.")
    if headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
        meant = headers.get("sec-fetch-mode") == "cors" or (
            headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest", "document") == "document"
        )
        if not meant:
            raise BadRequest("Another page may lead here, or fetch this; not embed it.")
    urls = request.query_params.getlist("url")
    if len(urls) != 1:
        raise BadRequest("The address must have one url.")
    return urls[0]
