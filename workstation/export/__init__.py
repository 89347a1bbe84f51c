"""Pictures and volumes as files for people."""
