"""The side that asks: what it makes of peers that refuse, stall, lie and break, and messages of every size."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from struct import pack, unpack_from

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_io.archive import Archive
from dicom_io.capabilities import IMPLICIT_LITTLE, STORAGE_CLASSES, STUDY_ROOT_FIND, VERIFICATION
from dicom_io.errors import ConnectionBroke, NotOffered, PeerUnreachable, QueryFailed
from dicom_io.network import requestor as asking
from dicom_io.network.commands import C_ECHO, C_FIND, N_EVENT_REPORT, Command, answer_to, read_command, request
from dicom_io.network.dimse import half
from dicom_io.network.query import find_studies
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer, Proposal, associate, echo
from dicom_io.network.retrieve import proposed_syntaxes
from dicom_io.network.send import Sender, send
from dicom_io.network.upper_layer import MAXIMUM_PDU, Connection, Waits
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.thorough import examples

LONG = Waits(20, 20, 20)


@contextlib.contextmanager
def acting(act: Callable[[socket.socket], None]) -> Iterator[Peer]:
    """A peer that accepts one connection and does what `act` says with it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            wire, _ = listening.accept()
            wire.settimeout(20)
            with wire, contextlib.suppress(OSError):
                act(wire)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Peer("127.0.0.1", listening.getsockname()[1], "PACS")
        thread.join(20)
        assert not thread.is_alive()


def read_pdu(wire: socket.socket) -> tuple[int, bytes]:
    head = _exactly(wire, 6)
    kind, length = unpack_from(">BxL", head)
    return kind, _exactly(wire, length)


def _exactly(wire: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        got = wire.recv(count - len(data))
        if not got:
            raise OSError("gone")
        data += got
    return data


def accepting(wire: socket.socket) -> None:
    """Answers an association request: implicit little endian for whatever is asked, in every context."""
    kind, asked = read_pdu(wire)
    assert kind == 1
    items, at = b"", 68
    while at < len(asked):
        item, length = unpack_from(">BxH", asked, at)
        if item == 0x20:
            syntax = IMPLICIT_LITTLE.encode()
            inner = pack(">BxH", 0x40, len(syntax)) + syntax
            items += pack(">BxHBxBx", 0x21, 4 + len(inner), asked[at + 4], 0) + inner
        elif item == 0x10:
            items += asked[at : at + 4 + length]
        at += 4 + length
    items += pack(">BxHBxHL", 0x50, 8, 0x51, 4, 0)
    body = asked[:68] + items
    wire.sendall(pack(">BxL", 2, len(body)) + body)


def value(context_id: int, control: int, data: bytes) -> bytes:
    return pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, context_id, control) + data


def asked_command(wire: socket.socket) -> Command:
    kind, body = read_pdu(wire)
    assert kind == 4
    return read_command(body[6:])


@pytest.mark.parametrize(
    ("result", "source", "reason", "words"),
    [
        (1, 1, 3, r"it does not know the calling AE title 'WORKSTATION'\.$"),
        (1, 1, 7, r"it does not answer to the called AE title 'PACS'\.$"),
        (2, 3, 2, r"for now rejected .* it has as many associations open as it allows\.$"),
        (1, 3, 99, r"source 3, reason 99\.$"),
    ],
)
def test_a_rejection_says_why(result: int, source: int, reason: int, words: str) -> None:
    def reject(wire: socket.socket) -> None:
        read_pdu(wire)
        wire.sendall(pack(">BxLxBBB", 3, 4, result, source, reason))

    with acting(reject) as peer, pytest.raises(PeerUnreachable, match=words):
        echo(peer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "it hung up instead of an association; it may want TLS"),
        (pack(">BxLxxBB", 7, 4, 0, 0), "it aborted instead"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it sent PDU type 0x48 of .* to open an association"),
        (pack(">BxL", 2, 80) + b"\xff" * 80, "it sent what is no answer"),
    ],
)
def test_what_is_no_association_is_said(answer: bytes, words: str) -> None:
    def act(wire: socket.socket) -> None:
        read_pdu(wire)
        wire.sendall(answer)

    with acting(act) as peer, pytest.raises(PeerUnreachable, match=words):
        echo(peer)


def test_a_peer_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ACCEPT_S", 0.3)
    monkeypatch.setattr(asking, "ANSWER_S", 0.3)
    with acting(lambda wire: _until_gone(wire)) as peer, pytest.raises(PeerUnreachable, match="it did not answer inst"):
        echo(peer)

    def silent(wire: socket.socket) -> None:
        accepting(wire)
        _until_gone(wire)

    with acting(silent) as peer, pytest.raises(ConnectionBroke, match="before it answered: it was silent for too long"):
        echo(peer)


def _until_gone(wire: socket.socket) -> None:
    while wire.recv(1 << 16):
        pass


def _answering(reply: Callable[[Command], bytes], received: list[bytes]) -> Callable[[socket.socket], None]:
    def act(wire: socket.socket) -> None:
        accepting(wire)
        wire.sendall(reply(asked_command(wire)))
        while got := wire.recv(1 << 16):
            received.append(got)

    return act


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (lambda c: value(1, 3, answer_to(Command(c.field, 77, False), 0)), "it answers message 77, which nobody sent"),
        (lambda c: value(9, 3, answer_to(c, 0)), "it speaks of presentation context 9, which was not accepted"),
        (lambda c: value(1, 3, b"\0\0\0"), "it sent a command that cannot be read"),
        (lambda c: value(1, 3, pack("<HHL", 0, 0, 99)), "it sent an element that is longer than its command"),
        (lambda c: value(1, 2, b"xx"), "it sent the halves of a message out of turn"),
        (lambda c: pack(">BxL", 4, MAXIMUM_PDU + 2), "it sent a PDU of 262146 bytes; at most 262144 were agreed on"),
        (lambda c: pack(">BxL", 9, 4), "it sent PDU type 0x09 where data was due"),
        (lambda c: pack(">BxLxxxx", 5, 4), "it released"),
        (lambda c: pack(">BxLxxBB", 7, 4, 0, 0), "it aborted"),
    ],
)
def test_an_answer_that_is_none_ends_the_association(reply: Callable[[Command], bytes], words: str) -> None:
    received: list[bytes] = []
    with acting(_answering(reply, received)) as peer, pytest.raises(ConnectionBroke, match=words):
        echo(peer)
    # Told to the peer as well: an abort, or the answer to its release.
    if "aborted" not in words:
        assert received and received[0][0] == (6 if "released" in words else 7)


def test_a_request_that_nobody_expects_is_answered_and_ours_too() -> None:
    seen: list[Command] = []

    def act(wire: socket.socket) -> None:
        accepting(wire)
        ours = asked_command(wire)
        wire.sendall(value(1, 3, request(N_EVENT_REPORT, 5, "1.2.3", type_id=1, with_data_set=True)))
        wire.sendall(value(1, 0, b"some") + value(1, 2, b"thing"))
        seen.append(asked_command(wire))
        wire.sendall(value(1, 3, answer_to(ours, 0)))
        kind, _ = read_pdu(wire)
        assert kind == 5
        wire.sendall(pack(">BxLxxxx", 6, 4))

    with acting(act) as peer:
        echo(peer)
    assert [(c.field, c.message_id, c.status) for c in seen] == [(0x8100, 5, 0x0211)]


def test_whoever_stops_listening_aborts_and_both_may_release_at_once() -> None:
    def pending(wire: socket.socket) -> None:
        accepting(wire)
        ours = asked_command(wire)
        wire.sendall(value(1, 3, answer_to(ours, 0xFF00, with_data_set=True)) + value(1, 2, b""))
        while True:
            kind, _ = read_pdu(wire)
            if kind == 7:
                return

    with acting(pending) as peer, associate(peer, "WORKSTATION", [Proposal(STUDY_ROOT_FIND)]) as association:
        next(association.ask(C_FIND, STUDY_ROOT_FIND))
    assert not association.open

    def crossing(wire: socket.socket) -> None:
        accepting(wire)
        wire.sendall(pack(">BxLxxxx", 5, 4))
        assert [read_pdu(wire)[0], read_pdu(wire)[0]] == [5, 6]
        wire.sendall(pack(">BxLxxxx", 6, 4))

    with acting(crossing) as peer:
        associate(peer, "WORKSTATION", [Proposal(VERIFICATION)]).release()


def test_nothing_accepted_is_no_offer(tmp_path: Path) -> None:
    with Receiver(Archive(tmp_path)) as receiver:
        here = Peer("127.0.0.1", receiver.port, "WORKSTATION")
        with pytest.raises(NotOffered):
            associate(here, "WORKSTATION", [Proposal("1.2.3.4")])
        with pytest.raises(QueryFailed, match="does not offer this kind of query"):
            find_studies(here)
        association = associate(here, "WORKSTATION", [Proposal(VERIFICATION)])
        with association, pytest.raises(NotOffered):
            association.ask_once(C_FIND, STUDY_ROOT_FIND)


def test_more_messages_than_there_are_numbers_for_them(tmp_path: Path) -> None:
    with (
        Receiver(Archive(tmp_path)) as receiver,
        associate(Peer("127.0.0.1", receiver.port), "WORKSTATION", [Proposal(VERIFICATION)]) as association,
    ):
        association._message_id = 0xFFFE
        assert [association.ask_once(C_ECHO, VERIFICATION).command.message_id for _ in range(3)] == [0xFFFF, 1, 2]


def test_a_file_that_shrinks_meanwhile_is_not_taken_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instances = write_series(tmp_path / "sent", ramp((2, 32, 32)), grid()).instances
    real = asking.Association.ask

    def shorter(self: asking.Association, *args: object, size: int = 0, **more: object) -> object:
        return real(self, *args, size=size + 2, **more)  # type: ignore[arg-type]

    archive = Archive(tmp_path / "archive")
    with Receiver(archive) as receiver, Sender(Peer("127.0.0.1", receiver.port)) as sender:
        with monkeypatch.context() as patch:
            patch.setattr(asking.Association, "ask", shorter)
            sent = sender.send(instances[0])
        assert sent.status is None and "shorter than it was" in sent.detail
        assert sender.send(instances[1]).accepted
    assert [i.sop_instance_uid for s in archive.all_series() for i in s.instances] == [instances[1].sop_instance_uid]


def test_a_file_without_meta_information_is_sent(tmp_path: Path) -> None:
    """As old devices write them: the data set alone."""
    (instance,) = write_series(tmp_path / "sent", ramp((1, 32, 32)), grid(), syntax=IMPLICIT_LITTLE).instances
    path = Path(instance.path)
    whole = path.read_bytes()
    path.write_bytes(whole[144 + unpack_from("<L", whole, 140)[0] :])
    archive = Archive(tmp_path / "archive")
    with Receiver(archive) as receiver:
        (sent,) = send([instance], Peer("127.0.0.1", receiver.port))
    assert sent.accepted
    assert archive.instance(instance.sop_instance_uid).rows == 32


@settings(max_examples=examples(60), deadline=None)
@given(
    st.binary(min_size=1, max_size=400),
    st.one_of(st.integers(0, 3000), st.sampled_from([(1 << 18) - 6, (1 << 20) - 12, 1 << 20, 3_000_001])),
    st.sampled_from([1024, 1025, 4096, 16384, MAXIMUM_PDU]),
)
def test_a_message_arrives_as_it_was_sent_in_pdus_that_the_peer_takes(command: bytes, size: int, longest: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    ours, theirs = _pair()
    with ours, theirs:
        sender, receiver = Connection(ours, LONG), Connection(theirs, LONG, max_pdu=longest)
        sender._longest_sent = longest
        thread = threading.Thread(target=sender.send_message, args=(3, command, BytesIO(b"xy" + data), 2 + size))
        thread.start()
        pieces = receiver.pieces()
        assert half(pieces, command=True) == (3, command)
        assert half(pieces, command=False) == (3, b"xy" + data)
        thread.join()


def test_every_storage_class_fits_into_one_association() -> None:
    """Presentation context IDs are the odd numbers of a byte, and the query has one of them (PS3.8 9.3.2.2)."""
    assert sum(len(proposed_syntaxes(each)) for each in STORAGE_CLASSES) <= 127


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        return ours, listening.accept()[0]
