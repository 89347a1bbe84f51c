"""The audit trail: who did what, as PS3.15 messages."""
