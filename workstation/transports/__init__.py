"""The outbox drained: one file for each way out."""
