"""Models that two processes run together."""
