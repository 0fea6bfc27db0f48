"""Many runs over a space of recipes."""
