"""The data: tokens, captures, and how weights are computed from queries and keys."""
