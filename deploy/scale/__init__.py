"""A catalogue on a cluster."""
