"""What may go wrong at a site, in one tree. Messages say what was found, where, and what to do."""


class WorkstationError(ValueError):
    """Root of all errors of this package whose message is meant for people. The command line prints it and ends."""


class DeliveryError(WorkstationError, OSError):
    """A message could not be taken to its destination. Trying the same again is safe."""
