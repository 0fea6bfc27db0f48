"""The model: its file, the thread that runs it, and what its outputs mean."""
