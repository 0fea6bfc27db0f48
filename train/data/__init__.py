"""Audio and tables to a dataset of mel spectrograms, split by artist."""
