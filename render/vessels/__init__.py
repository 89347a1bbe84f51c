"""Vessels: the way through a lumen, sections across it, and what is measured along it."""
