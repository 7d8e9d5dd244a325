"""Several objectives at once, constraints, and losses."""
