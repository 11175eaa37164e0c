"""Text that a model writes: one pass over all of it afterwards, or its steps while they run."""
