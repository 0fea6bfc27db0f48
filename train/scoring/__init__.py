"""Scores and calibration of predictions."""
