"""What may go wrong with DICOM, in one tree. Messages say what was found, where, and what to do."""


class DicomIOError(Exception):
    """Root of all errors of this package."""


class NotReadable(DicomIOError):  # noqa: N818 - reads as a sentence where it is raised
    """A file that is not DICOM, is cut short, or lacks what every instance must have."""


class VolumeRefused(DicomIOError):  # noqa: N818
    """No volume can be built from these images without guessing; the message is the reason."""


class NotFound(DicomIOError):  # noqa: N818
    """The archive does not hold what was asked for."""


class InstanceConflict(DicomIOError):  # noqa: N818
    """An instance of this UID is kept already with other bytes. The first stays."""


class ClassMismatch(DicomIOError):  # noqa: N818
    """A data set of another SOP class than was announced."""


class PortInUse(DicomIOError):  # noqa: N818
    """Somebody listens on the port already."""


class PeerUnreachable(DicomIOError):  # noqa: N818
    """No association with the peer; the message says why."""


class NotOffered(PeerUnreachable):
    """The peer takes the association, but none of the services that were asked for."""


class ConnectionBroke(PeerUnreachable):
    """An association broke or timed out before the peer answered; what it did with the request nobody knows."""


class QueryFailed(DicomIOError):  # noqa: N818
    """A peer did not answer a query or a retrieval, or refused it; the message says how."""
