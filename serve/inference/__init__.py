"""The model: its file, its thread, and what its numbers mean."""
