"""A model in, a capture out: the only room that imports transformers."""
