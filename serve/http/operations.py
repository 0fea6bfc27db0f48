"""The pieces of an operation in OpenAPI, for the description of the API."""

from __future__ import annotations

from typing import Any

from serve.errors import ERRORS
from serve.http import examples
from serve.http.rates import RATE_HEADERS
from serve.http.schemas import ref

Json = dict[str, Any]

#: What goes wrong before a request comes to its address, whichever it is.
ANYWHERE = ("bad_request", "internal")
#: The same where a key may be asked for.
WITH_KEY = (*ANYWHERE, "unauthorized")
KEYED: Json = {"security": [{}, {"bearer": []}, {"key": []}]}


def response_headers(*names: str) -> Json:
    """The header fields of a response; each has X-Request-ID."""
    return {name: ref(name, "headers") for name in ("X-Request-ID", *names)}


def json_response(name: str, description: str, example: Json) -> Json:
    """A response with a schema's object."""
    return {
        "description": description,
        "headers": response_headers(),
        "content": {"application/json": {"schema": ref(name), "example": example}},
    }


def error_responses(*codes: str) -> Json:
    """A response for each status of these errors, with an example of each."""
    found: Json = {}
    for status in sorted({ERRORS[code].status for code in codes}):
        kinds = [ERRORS[code] for code in sorted(set(codes)) if ERRORS[code].status == status]
        shown = {
            kind.code: {"value": examples.error(kind.code, kind.text, retryable=kind.retryable)}
            for kind in kinds
        }
        content = {"schema": ref("Failure"), "examples": shown}
        more = {401: ("WWW-Authenticate",), 429: ("Retry-After", *RATE_HEADERS)}
        if any(kind.retryable for kind in kinds):
            more.setdefault(status, ("Retry-After",))
        found[str(status)] = {
            "description": ", ".join(f"`{kind.code}`" for kind in kinds),
            "headers": response_headers(*more.get(status, ())),
            "content": {"application/json": content},
        }
    return found


def operation(name: str, tag: str, summary: str, responses: Json, **more: Any) -> Json:
    """What a method does at an address."""
    return {"operationId": name, "tags": [tag], "summary": summary, "responses": responses} | more


def parameter(name: str, where: str, description: str, schema: Json, **more: Any) -> Json:
    """A parameter of an operation, by default an optional one."""
    there = {"name": name, "in": where, "description": description, "schema": schema}
    return {"required": False} | there | more
