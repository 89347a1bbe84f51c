"""The long-running processes of `serve`."""
