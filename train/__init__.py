"""Training with TensorFlow: data to a checkpoint in a run folder."""
