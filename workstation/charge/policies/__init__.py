"""The charge policies, and their editions by date of service."""
