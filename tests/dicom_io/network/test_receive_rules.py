"""Who is let in, and what a peer may do that is wrong, slow or hostile: the rest of the world is served meanwhile."""

import contextlib
import ipaddress
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_io.archive import Archive
from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.errors import PeerUnreachable
from dicom_io.files.series import Instance, read_instance
from dicom_io.network import dimse
from dicom_io.network.acceptor import Caller, Rules
from dicom_io.network.commands import BadCommand, Command, answer_to, read_command
from dicom_io.network.crowd import Crowd
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer, echo
from dicom_io.network.send import Sender, send
from dicom_io.network.tls import Tls, server_context
from tests.dicom_io.certificates import make
from tests.dicom_io.synthetic import CT, grid, ramp, write_series
from tests.thorough import examples

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def instances(tmp_path: Path) -> tuple[Instance, ...]:
    return write_series(tmp_path / "sent", ramp((3, 32, 32)), grid()).instances


def peer(receiver: Receiver, title: str = "WORKSTATION") -> Peer:
    return Peer("127.0.0.1", receiver.port, title)


def test_the_called_title_is_checked_where_the_site_says_so(archive: Archive) -> None:
    with Receiver(archive, rules=Rules(called="WORKSTATION")) as receiver:
        echo(peer(receiver))
        with pytest.raises(PeerUnreachable, match="rejected the association"):
            echo(peer(receiver, "OTHER"))
        assert receiver.counts["associations_rejected"] == 1
    with Receiver(archive) as receiver:
        echo(peer(receiver, "OTHER"))


@pytest.mark.parametrize(
    ("caller", "let_in"),
    [
        (Caller("MODALITY", LOOPBACK), True),
        (Caller("MODALITY", (ipaddress.ip_network("10.0.0.0/8"),)), False),
        (Caller("ANOTHER", LOOPBACK), False),
    ],
)
def test_a_caller_is_known_by_title_and_address(
    archive: Archive, caller: Caller, let_in: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Receiver(archive, rules=Rules(callers=(caller,))) as receiver,
        caplog.at_level(logging.WARNING),
        contextlib.nullcontext() if let_in else pytest.raises(PeerUnreachable, match="rejected"),
    ):
        echo(peer(receiver), "MODALITY")
    # Once the receiver has stopped: it writes the line while the peer already reads its answer.
    assert ("association from 127.0.0.1 rejected" in caplog.text) == (not let_in)


def test_one_association_too_many_waits_for_another_to_end(archive: Archive, instances: tuple[Instance, ...]) -> None:
    with Receiver(archive, rules=Rules(max_associations=1)) as receiver:
        with Sender(peer(receiver)) as sender:
            assert sender.send(instances[0]).accepted
            with pytest.raises(PeerUnreachable, match="rejected"):
                echo(peer(receiver))
            assert sender.send(instances[1]).accepted
        _eventually(lambda: receiver.associations == 0)
        echo(peer(receiver))


def test_one_address_leaves_room_for_others(
    archive: Archive, instances: tuple[Instance, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(archive, rules=Rules(max_associations=4, max_of_one=1)) as receiver, Sender(peer(receiver)) as sender:
        assert sender.send(instances[0]).accepted
        with pytest.raises(PeerUnreachable, match="rejected"):
            echo(peer(receiver))
        connect = socket.create_connection
        monkeypatch.setattr(socket, "create_connection", lambda to, s: connect(to, s, ("127.0.0.2", 0)))
        echo(peer(receiver))
        assert receiver.counts["associations_rejected"] == 1


@pytest.mark.parametrize("others", ["127.0.0.1", "127.0.0.2"])
def test_silent_connections_shut_nobody_out(archive: Archive, instances: tuple[Instance, ...], others: str) -> None:
    with Receiver(archive, rules=Rules(max_associations=4)) as receiver, contextlib.ExitStack() as stack:
        with Sender(peer(receiver)) as sender:
            assert sender.send(instances[0]).accepted
            silent = [
                stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port), 30, (others, 0)))
                for _ in range(40)
            ]
            echo(peer(receiver))
            assert sender.send(instances[1]).accepted, "whoever sends goes on sending"
        for connection in silent[:36]:
            assert connection.recv(1) == b"", "the oldest were shut"
        silent[-1].settimeout(0.01)
        with pytest.raises(TimeoutError):
            silent[-1].recv(1)


def test_whoever_holds_most_is_shut_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as stack:
        crowd, theirs, numbers = Crowd(4, 2), {}, {}
        for number, address in enumerate(("a", "b", "b", "b", "c", "c"), 1):
            theirs[number] = stack.enter_context(socket.create_connection(listening.getsockname(), 30))
            own = stack.enter_context(listening.accept()[0])
            numbers[number] = crowd.came(own, address)
        assert crowd.silent == 4
        assert [n for n, each in theirs.items() if _is_shut(each)] == [2, 3], "b's first two"
        assert crowd.spoke(numbers[5], "c") == "" and crowd.spoke(numbers[6], "c") == ""
        assert crowd.spoke(9, "c") == "2 from this address are open already"
        assert crowd.spoke(numbers[1], "a") == crowd.spoke(numbers[4], "b") == ""
        assert crowd.spoke(9, "d") == "4 are open already"
        for number in numbers.values():
            crowd.left(number)
        assert (crowd.in_use, crowd.silent) == (0, 0)


def _is_shut(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def _eventually(done: Any) -> None:
    """The peer's end of a release is some microseconds later than ours."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_disk_that_is_nearly_full_is_said_before_it_is(archive: Archive, instances: tuple[Instance, ...]) -> None:
    with Receiver(archive, rules=Rules(min_free_bytes=1 << 60)) as receiver:
        assert [r.status for r in send(instances, peer(receiver))] == [0xA700] * 3
    assert archive.all_series() == ()


def test_an_instance_that_is_too_large_is_passed_over_and_the_next_one_kept(archive: Archive, tmp_path: Path) -> None:
    large = write_series(tmp_path / "large", ramp((1, 300, 300)), grid(), series="large").instances
    small = write_series(tmp_path / "small", ramp((1, 16, 16)), grid(), series="small").instances
    with Receiver(archive, rules=Rules(max_instance_bytes=100_000)) as receiver:
        assert [r.status for r in send([*small, *large, *small], peer(receiver))] == [0, 0xA700, 0]
    assert [s.uid for s in archive.all_series()] == [small[0].series_uid]
    assert list((archive.root / "spool").rglob("*.part")) == []


def test_a_class_other_than_announced_is_answered_a900(archive: Archive, instances: tuple[Instance, ...]) -> None:
    ds = dcmread(instances[0].path)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"  # MR, in what is announced as CT
    ds.save_as(instances[0].path)
    with Receiver(archive) as receiver, raw(receiver) as wire:
        assert _store(wire, Path(instances[0].path), instances[0].sop_instance_uid) == 0xA900
    assert archive.all_series() == ()


# The protocol by hand


def _request(called: bytes = b"WORKSTATION", syntaxes: tuple[str, ...] = (EXPLICIT_LITTLE,)) -> bytes:
    def item(kind: int, value: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(value)) + value

    proposed = item(0x30, CT.encode()) + b"".join(item(0x40, s.encode()) for s in syntaxes)
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), b"RAW".ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, b"\1\0\0\0" + proposed)
    body += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    return struct.pack(">BxL", 1, len(body)) + body


def _read_pdu(wire: socket.socket) -> tuple[int, bytes]:
    head = _exactly(wire, 6)
    if not head:
        return 0, b""
    kind, length = struct.unpack(">BxL", head)
    return kind, _exactly(wire, length)


def _exactly(wire: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            got = wire.recv(count - len(data))
        except ConnectionResetError:
            return b""
        if not got:
            return b""
        data += got
    return data


@contextlib.contextmanager
def raw(receiver: Receiver) -> Iterator[socket.socket]:
    """An association for CT, without anybody's library."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as wire:
        wire.sendall(_request())
        assert _read_pdu(wire)[0] == 2
        yield wire


def _value(control: int, data: bytes, context: int = 1) -> bytes:
    return struct.pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, context, control) + data


def _announce(uid: str, field: int = 1) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, number, len(value)) + value

    return (
        element(0x0002, CT.encode())
        + element(0x0100, struct.pack("<H", field))
        + element(0x0110, struct.pack("<H", 7))
        + element(0x0700, b"\0\0")
        + element(0x0800, b"\0\0")
        + element(0x1000, uid.encode())
    )


def _data_set(path: Path) -> bytes:
    data = path.read_bytes()
    return data[144 + int.from_bytes(data[140:144], "little") :]


def _store(wire: socket.socket, path: Path, uid: str) -> int:
    wire.sendall(_value(3, _announce(uid)) + _value(2, _data_set(path)))
    return _answer(wire)


def _answer(wire: socket.socket) -> int:
    kind, body = _read_pdu(wire)
    assert kind == 4, kind
    return read_command(body[6:]).status


def test_a_message_in_pieces_of_any_size(archive: Archive, instances: tuple[Instance, ...]) -> None:
    """Values of one byte, empty ones, several in a PDU, PDUs that arrive byte by byte."""
    data, uid = _data_set(Path(instances[0].path)), instances[0].sop_instance_uid
    with Receiver(archive) as receiver, raw(receiver) as wire:
        command = _announce(uid)
        wire.sendall(_value(1, command[:1]) + _value(1, b"") + _value(3, command[1:]))
        values = [data[:1], b"", data[1:700], data[700:]]
        together = b"".join(struct.pack(">LBB", len(v) + 2, 1, 0) + v for v in values)
        pdu = struct.pack(">BxL", 4, len(together)) + together + _value(2, b"")
        for n in range(900):
            wire.sendall(pdu[n : n + 1])
        wire.sendall(pdu[900:])
        assert _answer(wire) == 0
        wire.sendall(struct.pack(">BxLxxxx", 5, 4))
        assert _read_pdu(wire)[0] == 6
    assert dcmread(archive.instance(uid).path) == dcmread(instances[0].path)


BROKEN = {
    "no DICOM at all": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10,
    "an endless PDU": struct.pack(">BxL", 4, 0xFFFFFFFF),
    "a value longer than its PDU": struct.pack(">BxLLBB", 4, 20, 4000, 1, 3) + b"\0" * 14,
    "a part of a value": struct.pack(">BxL", 4, 8) + b"\0" * 8,
    "a context that was not accepted": _value(3, _announce("1.2.3"), context=9),
    "a command that is none": _value(3, b"\xff" * 40),
    "a data set without a command": _value(2, b"\0" * 40),
    "an endless command": _value(1, b"\0" * 16000) * 10,
    "a second request": _request(),
    "an unknown PDU": struct.pack(">BxL", 99, 4) + b"\0" * 4,
    "another command within a data set": _value(3, _announce("1.2.3")) + _value(0, b"\0" * 40) + _value(3, b"\0" * 40),
}


@pytest.mark.parametrize("what", BROKEN)
def test_nonsense_aborts_that_association_alone(
    archive: Archive, instances: tuple[Instance, ...], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(archive) as receiver, Sender(peer(receiver)) as good:
        assert good.send(instances[0]).accepted
        with raw(receiver) as wire:
            wire.sendall(BROKEN[what])
            assert _read_pdu(wire)[0] in (7, 0)
        assert good.send(instances[1]).accepted
        assert receiver.counts["associations_aborted"] == 1
    assert "Traceback" not in caplog.text
    assert list((archive.root / "spool").rglob("*.part")) == []


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=300), associated=st.booleans())
def test_any_bytes(hostile: Receiver, noise: bytes, associated: bool) -> None:
    """Whatever comes, the receiver answers somebody else afterwards, and no thread or file stays behind."""
    with socket.create_connection(("127.0.0.1", hostile.port), timeout=60) as wire:
        if associated:
            wire.sendall(_request())
            assert _read_pdu(wire)[0] == 2
        wire.sendall(noise)
        wire.shutdown(socket.SHUT_WR)
        while _read_pdu(wire)[0]:
            pass


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    archive = Archive(tmp_path_factory.mktemp("hostile"))
    with Receiver(archive) as receiver:
        yield receiver
        echo(peer(receiver))
        _eventually(lambda: receiver.associations == 0)
        assert archive.all_series() == () and list((archive.root / "spool").rglob("*.part")) == []


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=120))
def test_any_command(noise: bytes) -> None:
    with contextlib.suppress(BadCommand):
        read_command(noise)


def test_an_answer_reads_as_what_it_is() -> None:
    request = Command(0x0130, 9, True, "1.2.840.10008.1.20.1", "1.2.3", type_id=1)
    answer = read_command(answer_to(request, 0x0110, "no"))
    assert answer == Command(0x8130, 9, False, request.sop_class_uid, request.sop_instance_uid, 1, 0x0110, "no")


@pytest.mark.parametrize("when", ["connected", "within a PDU", "within a data set", "between messages"])
def test_a_peer_that_stalls_is_let_go(archive: Archive, instances: tuple[Instance, ...], when: str) -> None:
    rules = Rules(request_s=1.0, stall_s=1.0, idle_s=1.0)
    with Receiver(archive, rules=rules) as receiver:
        with contextlib.ExitStack() as stack:
            if when == "connected":
                wire = stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port), timeout=60))
            else:
                wire = stack.enter_context(raw(receiver))
            if when == "within a PDU":
                wire.sendall(_value(3, _announce("1.2.3"))[:30])
            elif when == "within a data set":
                data = _data_set(Path(instances[0].path))
                wire.sendall(_value(3, _announce(instances[0].sop_instance_uid)) + _value(0, data[:500]))
            assert _read_pdu(wire)[0] == 7
        _eventually(lambda: receiver.associations == 0)
        # On a busy machine our own sender may stall for a second too.
        _eventually(lambda: send(instances, peer(receiver))[0].accepted)
    assert list((archive.root / "spool").rglob("*.part")) == []


def test_a_peer_that_is_gone_in_the_middle_leaves_nothing(archive: Archive, instances: tuple[Instance, ...]) -> None:
    with Receiver(archive) as receiver:
        with raw(receiver) as wire:
            data = _data_set(Path(instances[0].path))
            wire.sendall(_value(3, _announce(instances[0].sop_instance_uid)) + _value(0, data[:500]))
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        _eventually(lambda: receiver.associations == 0)
    assert archive.all_series() == () and list((archive.root / "spool").rglob("*.part")) == []


def test_stopping_lets_a_transfer_end_and_tells_who_is_idle(archive: Archive, instances: tuple[Instance, ...]) -> None:
    receiver = Receiver(archive)
    with raw(receiver) as busy, raw(receiver) as idle:
        data, uid = _data_set(Path(instances[0].path)), instances[0].sop_instance_uid
        busy.sendall(_value(3, _announce(uid)) + _value(0, data[:500]))
        stopping = threading.Thread(target=receiver.stop)
        stopping.start()
        assert _read_pdu(idle)[0] == 7
        busy.sendall(_value(2, data[500:]))
        assert _answer(busy) == 0
        assert _read_pdu(busy)[0] == 7
        stopping.join(30)
    assert archive.instance(uid)


def test_a_defect_of_ours_is_logged_and_answered_by_an_end(
    archive: Archive, instances: tuple[Instance, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    with Receiver(archive) as receiver:
        with monkeypatch.context() as patch:
            patch.setattr(dimse, "spool", defect)
            assert not send(instances[:1], peer(receiver))[0].accepted
        assert "ended by a defect" in caplog.text
        assert send(instances, peer(receiver))[0].accepted


def test_tls_both_ways(archive: Archive, instances: tuple[Instance, ...], tmp_path: Path) -> None:
    authority = make(tmp_path, "authority")
    ours, theirs = make(tmp_path, "server", authority), make(tmp_path, "client", authority)
    stranger = make(tmp_path, "stranger")
    context = server_context(Tls(authority.certificate, ours.certificate, ours.key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    with Receiver(archive, tls=context) as receiver:

        def there(tls: Tls | None) -> Peer:
            return Peer("127.0.0.1", receiver.port, "WORKSTATION", tls)

        known = Tls(authority.certificate, theirs.certificate, theirs.key)
        assert all(r.accepted for r in send(instances, there(known)))
        for refused in (
            None,
            Tls(authority.certificate),
            Tls(authority.certificate, stranger.certificate, stranger.key),
            Tls(stranger.certificate, theirs.certificate, theirs.key),
        ):
            with pytest.raises(PeerUnreachable):
                echo(there(refused))
        echo(there(known))
    for kept in archive.all_series()[0].instances:
        assert read_instance(Path(kept.path)) == kept
