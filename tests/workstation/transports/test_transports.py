"""MLLP over real sockets, and files into a folder."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workstation.hl7.test_syntax import AT, LINE, SUBJECT
from tests.workstation.transports.ways import by_mllp, to_folder
from workstation.billing.dft import charge_message
from workstation.hl7.acknowledgement import acknowledgement, control_id_of
from workstation.hl7.mllp import (
    MAXIMUM_BYTES,
    MllpError,
    MllpReceiver,
    NoAcknowledgementError,
    UnreachableError,
    frame,
    send,
)
from workstation.store.messages import Delivery, Message
from workstation.transports import folder

MESSAGE = charge_message([LINE], SUBJECT, at=AT)
HOST = "127.0.0.1"


def accept(message: bytes) -> bytes:
    return acknowledgement(message, "AA", at=AT)


class RawReceiver(MllpReceiver):
    """A receiver that puts its answer on the wire as it is."""

    def wire(self, answer: bytes) -> bytes:
        return answer


@pytest.mark.parametrize("code", ["AA", "AE", "AR", "CA", "CE", "CR"])
def test_every_answer_is_returned(code: str) -> None:
    with MllpReceiver(lambda message: acknowledgement(message, code, "why", at=AT)) as receiver:  # type: ignore[arg-type]
        answer = send(HOST, receiver.port, MESSAGE, 5)
    assert (answer.code, answer.control_id, answer.text) == (code, control_id_of(MESSAGE), "why")
    assert receiver.messages == [MESSAGE]


def test_sending_again_sends_the_same_bytes() -> None:
    with MllpReceiver(accept) as receiver:
        send(HOST, receiver.port, MESSAGE, 5)
        send(HOST, receiver.port, charge_message([LINE], SUBJECT, at=AT), 5)
        assert receiver.messages == [MESSAGE, MESSAGE]


def test_one_connection_carries_many_messages() -> None:
    with MllpReceiver(accept) as receiver, socket.create_connection((HOST, receiver.port), timeout=30) as connection:
        connection.sendall(frame(MESSAGE) + frame(MESSAGE))
        answers = b""
        while answers.count(b"\x1c\x0d") < 2:
            answers += connection.recv(4096)
        assert answers == frame(accept(MESSAGE)) * 2
        assert receiver.messages == [MESSAGE, MESSAGE]


FOREIGN = MESSAGE.replace(control_id_of(MESSAGE).encode(), b"SOMEBODYELSES")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: b"", "closed the connection without an acknowledgement"),
        (lambda _: accept(FOREIGN), "the answer is to message 'SOMEBODYELSES'"),
        (lambda _: b"hello", "no MSH segment"),
        (lambda message: message, "no MSA segment"),
    ],
    ids=["closes", "foreign", "garbage", "echo"],
)
def test_what_is_no_acknowledgement(answer: Callable[[bytes], bytes], words: str) -> None:
    with MllpReceiver(answer) as receiver:
        with pytest.raises(NoAcknowledgementError, match=words):
            send(HOST, receiver.port, MESSAGE, 5)
        assert receiver.messages == [MESSAGE]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400\r\n", "sent b'HTTP/1.1', which does not begin a frame"),
        (b"\x0b" + b"x" * (MAXIMUM_BYTES + 4096), "sent more than 1048576 bytes"),
    ],
    ids=["no frame", "endless"],
)
def test_what_is_no_frame(answer: bytes, words: str) -> None:
    with RawReceiver(lambda _: answer) as receiver, pytest.raises(NoAcknowledgementError, match=words):
        send(HOST, receiver.port, MESSAGE, 30)


def test_half_an_acknowledgement_is_none() -> None:
    with socket.create_server((HOST, 0)) as listener:

        def half() -> None:
            connection, _ = listener.accept()
            with connection:
                while not connection.recv(4096).endswith(b"\x1c\x0d"):
                    pass
                connection.sendall(frame(accept(MESSAGE))[:40])

        thread = threading.Thread(target=half)
        thread.start()
        with pytest.raises(NoAcknowledgementError, match="in the middle of a message"):
            send(HOST, listener.getsockname()[1], MESSAGE, 5)
        thread.join()


def test_silence_ends_at_the_time_limit() -> None:
    silent = pytest.raises(NoAcknowledgementError, match=r"no acknowledgement within 0\.05 s")
    with socket.create_server((HOST, 0)) as listener, silent:
        send(HOST, listener.getsockname()[1], MESSAGE, 0.05)


def test_nobody_there() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UnreachableError, match=rf"127\.0\.0\.1 port {port}: .*check that the receiver is running"):
        send(HOST, port, MESSAGE, 5)


def test_a_message_that_would_break_its_frame_is_not_sent() -> None:
    with pytest.raises(MllpError, match="0x0B or 0x1C"):
        frame(b"MSH\x1cx")


def test_a_receiver_stops_with_connections_open() -> None:
    with MllpReceiver(accept) as receiver:
        connection = socket.create_connection((HOST, receiver.port), timeout=30)
        connection.sendall(frame(MESSAGE))
        assert connection.recv(4096)
    with connection:
        assert connection.recv(4096) == b""


def queued(body: bytes | None, path: str | None = None) -> Message:
    return Message("BILLING", "hl7", control_id_of(MESSAGE), "ACC1", body=body, path=path)


def test_delivery_over_mllp() -> None:
    with MllpReceiver(accept) as receiver:
        assert by_mllp(queued(MESSAGE), receiver.port) == Delivery("acknowledged", "AA")
        assert by_mllp(queued(None, "x"), receiver.port).outcome == "rejected"
    with MllpReceiver(lambda _: b"") as receiver:
        port = receiver.port
        assert by_mllp(queued(MESSAGE), port).outcome == "failed"
    with pytest.raises(UnreachableError):
        by_mllp(queued(MESSAGE), port)


class TestFolder:
    def test_a_file_is_written_whole(self, tmp_path: Path) -> None:
        assert folder.write_file(tmp_path, "a.hl7", b"content") == tmp_path / "a.hl7"
        assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.hl7", b"content")]

    def test_the_same_again_is_done_already(self, tmp_path: Path) -> None:
        before = folder.write_file(tmp_path, "a.hl7", b"content").stat()
        after = folder.write_file(tmp_path, "a.hl7", b"content").stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

    def test_another_file_of_the_name_is_left(self, tmp_path: Path) -> None:
        folder.write_file(tmp_path, "a.hl7", b"content")
        with pytest.raises(folder.FolderError, match="other content"):
            folder.write_file(tmp_path, "a.hl7", b"changed")
        assert (tmp_path / "a.hl7").read_bytes() == b"content"

    @pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", ".hidden", "a\\b", "a\0b"])
    def test_only_plain_names(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(folder.FolderError, match="not a plain file name"):
            folder.write_file(tmp_path / "in", name, b"x")

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(folder.FolderError, match="the file was not written"):
            folder.write_file(tmp_path / "missing", "a", b"x")

    def test_nothing_is_left_of_a_write_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(folder.FolderError, match="No space left"):
            folder.write_file(tmp_path, "a", b"x")
        assert list(tmp_path.iterdir()) == []

    def test_delivery_of_bytes_and_of_a_stored_file(self, tmp_path: Path) -> None:
        stored = tmp_path / "stored.dcm"
        stored.write_bytes(b"instance")
        out = tmp_path / "out"
        out.mkdir()
        assert to_folder(Message("D", "file", "a.hl7", "ACC1", body=b"m"), out).outcome == "acknowledged"
        assert to_folder(Message("D", "file", "1.2.dcm", "ACC1", path=str(stored)), out).detail == (
            "written as 1.2.dcm"
        )
        assert sorted((each.name, each.read_bytes()) for each in out.iterdir()) == [
            ("1.2.dcm", b"instance"),
            ("a.hl7", b"m"),
        ]
