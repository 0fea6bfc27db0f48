"""Many tracks on the command line: what they are, how they are worked through, what is kept."""
