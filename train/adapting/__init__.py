"""Adapts a pre-trained network to our front end."""
