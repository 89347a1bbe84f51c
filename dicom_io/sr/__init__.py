"""Documents, and their signatures."""
