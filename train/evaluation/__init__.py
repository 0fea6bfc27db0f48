"""How well a run does, and how sure that is."""
