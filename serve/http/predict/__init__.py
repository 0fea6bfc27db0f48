"""Requests to classify a track or a batch of tracks."""
