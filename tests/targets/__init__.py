"""Every target of the Makefile, run once in an environment that holds its own extra alone."""
