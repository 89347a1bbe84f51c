"""What the screen is, without Qt."""
