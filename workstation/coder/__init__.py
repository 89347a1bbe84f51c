"""What a coder sees and may do."""
