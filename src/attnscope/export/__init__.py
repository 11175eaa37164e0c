"""Views outside a live notebook: one-file pages and pictures."""
