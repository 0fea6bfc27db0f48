"""topgenre's runtime: a track in, its genres out. `from serve import classify` is for notebooks."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve.notebook import classify as classify

__all__ = ["classify"]

# ONNX Runtime reports home and writes a device id under HOME when it is imported, unless this is
# set before. A server of other people's music tells nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def __getattr__(name: str) -> Any:
    # Only who asks for it waits for the model's runtime to be imported.
    if name == "classify":
        from serve.notebook import classify

        return classify
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
