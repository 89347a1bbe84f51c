"""The errors of this package, in one tree. Messages say what was found, where, and what to do."""


class DicomIOError(Exception):
    """Root of all errors of this package."""


class NotReadable(DicomIOError):  # noqa: N818 - reads as a sentence where it is raised
    """A file is not DICOM, is cut short, or lacks an attribute that every instance must have."""


class VolumeRefused(DicomIOError):  # noqa: N818
    """No volume can be built from these images without guessing; the message is the reason."""


class NotFound(DicomIOError):  # noqa: N818
    """The archive does not hold what was asked for."""


class Busy(DicomIOError):  # noqa: N818
    """Another process does this at the moment, and went on doing it for long."""


class InstanceConflict(DicomIOError):  # noqa: N818
    """The archive already keeps an instance of this UID with other bytes; that one stays."""


class ClassMismatch(DicomIOError):  # noqa: N818
    """A data set is of another SOP class than the sender announced."""


class PortInUse(DicomIOError):  # noqa: N818
    """Another program listens on the port already."""


class PeerUnreachable(DicomIOError):  # noqa: N818
    """No association with the peer was possible; the message says why."""


class NotOffered(PeerUnreachable):
    """The peer accepts the association, but none of the services that we need."""


class ConnectionBroke(PeerUnreachable):
    """An association broke or timed out before the peer answered; it may or may not have carried out the request."""


class QueryFailed(DicomIOError):  # noqa: N818
    """A peer did not answer a query or a retrieval, or refused it; the message says how."""
