"""Many tracks on the command line: finding them, classifying them, keeping the results."""
