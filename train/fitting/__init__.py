"""Datasets to weights: recipes, batches, steps, runs."""
