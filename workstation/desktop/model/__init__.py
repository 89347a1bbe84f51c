"""The model of the screen, without Qt."""
