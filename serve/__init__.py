"""topgenre's runtime: a track in, its genres out."""

import os

# ONNX Runtime reports home and writes a device id under HOME when it is imported, unless this is
# set before. A server of other people's music tells nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
