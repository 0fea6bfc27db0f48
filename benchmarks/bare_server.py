"""`python -m benchmarks.bare_server PORT BYTES`: a route that does nothing but answer as much.

On the same web framework and server as ours: what the machine, the client and HTTP cost anyway.
"""

from __future__ import annotations

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main(port: int, size: int) -> None:
    """Serve until told to stop."""
    body = json.dumps({"cached": True, "filling": ""}).encode()
    body = body[:-2] + b"." * (size - len(body)) + body[-2:]

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/predict", answer, methods=["GET", "POST"])])
    uvicorn.run(app, port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
