"""A stored SR read back: verified, drawn again, explained, printed."""
