"""The command line: one verb for each step of a study."""
