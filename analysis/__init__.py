"""From votes to numbers, figures and the report."""
