"""Images and sound: how they go in, and what their positions stand for."""
