"""Reads a stored SR back: verifies, draws again, explains and prints it."""
