"""Does it matter? Questions that run the model again with something changed, or take gradients through it."""
