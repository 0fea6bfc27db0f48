"""The way of one track, from its source to the answer, and the limits on all of them."""

from serve.pipeline.pipeline import Pipeline, front_end_of

__all__ = ["Pipeline", "front_end_of"]
