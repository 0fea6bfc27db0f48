"""A network that others trained, fitted to this front end."""
