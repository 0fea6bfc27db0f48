"""The errors of exporting."""

from __future__ import annotations


class ExportError(ValueError):
    """A model that can't be exported or must not be shipped; the text says why."""
