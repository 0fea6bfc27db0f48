"""The way of one track, from its source to the answer, and the limits on all of them."""

from serve.pipeline.parts import front_end_of
from serve.pipeline.pipeline import Pipeline

__all__ = ["Pipeline", "front_end_of"]
