"""From a request for tracks to its answer: one track, or a batch."""
