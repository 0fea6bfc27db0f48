"""The errors of training."""

from __future__ import annotations


class DataError(ValueError):
    """Data that can't be trained on, being missing, broken or inconsistent; the text says why."""
