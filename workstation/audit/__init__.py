"""Who did what, as PS3.15 messages."""
