"""Seeing attention while a model runs: the roads by which calls are seen, and what a call carries."""
