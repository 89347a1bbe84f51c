"""Structured reports and their digital signatures."""
