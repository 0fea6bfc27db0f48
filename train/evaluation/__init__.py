"""How well a run does, and with what uncertainty."""
