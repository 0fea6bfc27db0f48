"""Latency of every stage, with peers beside it."""
