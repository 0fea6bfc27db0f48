"""What predictions are worth: scores, calibration."""
