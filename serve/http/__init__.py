"""The web face of the pipeline."""
