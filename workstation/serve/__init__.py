"""The processes that keep running."""
