"""`python -m benchmarks.lit_server PORT`: the model behind LitServe, written straight down.

It decodes with PyAV and has our features; a worker for each core, one track a call.
"""

# LitServe reads the annotations: they must not be text.
import signal
import sys
from dataclasses import asdict
from typing import Any

import litserve
from starlette.requests import Request

from benchmarks.straight import Straight
from serve.container import cores
from serve.inference.aggregate import aggregate
from serve.inference.outputs import Outputs
from serve.inference.tuning import load
from serve.pipeline import front_end_of
from serve.settings import Settings


class Genres(litserve.LitAPI):  # type: ignore[misc]
    """A track's file in a form to its genres."""

    def setup(self, device: str) -> None:
        """Load the model, in each worker."""
        settings = Settings.from_environment()
        model = load(settings)
        self._model = model
        self._straight = Straight(model, settings.max_duration_s)

    def decode_request(self, request: Request) -> bytes:
        """The form's file."""
        content: bytes = request["file"].file.read()  # LitServe hands over the form
        return content

    def predict(self, content: bytes) -> Outputs:
        """What the model says of each clip."""
        return self._straight.predict(content)

    def encode_response(self, clips: Outputs) -> dict[str, Any]:
        """What our server answers, too."""
        verdict = aggregate(clips, self._model.card, front_end_of(self._model).clip_s)
        return {
            "top_prediction": verdict.top,
            "results": verdict.results,
            "timeline": [asdict(clip) for clip in verdict.timeline],
        }


def main(port: int) -> None:
    """Serve until told to stop."""
    # What LitServe ends at, also where our parent ignored it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    server = litserve.LitServer(Genres(), accelerator="cpu", workers_per_device=cores())
    server.run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
