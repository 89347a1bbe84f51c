"""The errors of this package, in one tree. Messages say what was found, where, and what to do."""


class RenderError(ValueError):
    """Root of all errors of this package whose message is meant for people."""
