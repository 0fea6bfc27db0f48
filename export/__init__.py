"""From a checkpoint to the self-describing ONNX file that is served."""

import serve  # noqa: F401 - before ONNX Runtime, which would report home
