"""What training can fail with."""

from __future__ import annotations


class DataError(ValueError):
    """Data that can't be trained on: missing, broken, inconsistent; the text says which and why."""
