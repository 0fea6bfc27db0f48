"""The signal path: encoded audio to the features of its clips."""
