"""The HTTP interface of the pipeline."""
