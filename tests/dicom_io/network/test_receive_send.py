"""Over the network, with our own two ends: what is acknowledged is kept, and what is not kept is not acknowledged."""

import contextlib
import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from sqlalchemy.exc import OperationalError

from dicom_io.archive.archive import Archive, Kept
from dicom_io.capabilities import EXPLICIT_LITTLE, IMPLICIT_LITTLE, STORAGE_CLASSES
from dicom_io.errors import PeerUnreachable, PortInUse
from dicom_io.files.series import Instance, read_instance
from dicom_io.network import dimse
from dicom_io.network.acceptor import Rules
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer, associate, echo
from dicom_io.network.send import Sender, send
from tests.dicom_io.synthetic import CT, JPEG_LS, RLE, SYNTAXES, grid, image, ramp, save, write_series


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def instances(tmp_path: Path) -> tuple[Instance, ...]:
    return write_series(tmp_path / "sent", ramp((8, 32, 32)), grid()).instances


def peer(receiver: Receiver) -> Peer:
    return Peer("127.0.0.1", receiver.port, "WORKSTATION")


def files(archive: Archive, folder: str) -> list[Path]:
    return sorted(p for p in (archive.root / folder).rglob("*") if p.is_file())


def test_what_is_sent_is_kept_and_again_is_the_same(archive: Archive, instances: tuple[Instance, ...]) -> None:
    kept: list[Kept] = []
    with Receiver(archive, on_kept=kept.append) as receiver:
        for turn in ("new", "same"):
            results = send(instances, peer(receiver))
            assert [r.sop_instance_uid for r in results] == [i.sop_instance_uid for i in instances]
            assert all(r.accepted and r.status == 0 for r in results)
            assert [k.news for k in kept[-8:]] == [turn] * 8
    for ours, theirs in zip(instances, archive.all_series()[0].instances, strict=True):
        assert replace(ours, path="", pixel_offset=0) == replace(theirs, path="", pixel_offset=0)
        assert dcmread(ours.path) == dcmread(theirs.path)
    assert files(archive, "spool") == []


def in_every_syntax(folder: Path) -> list[Instance]:
    """A series of one image for each transfer syntax that we can write."""
    made: list[Instance] = []
    for number, syntax in enumerate(SYNTAXES):
        series = write_series(folder / str(number), ramp((1, 32, 32)), grid(), series=syntax, syntax=syntax)
        made += series.instances
    assert [i.transfer_syntax_uid for i in made] == list(SYNTAXES)
    return made


def test_every_syntax_arrives_as_it_was(archive: Archive, tmp_path: Path) -> None:
    sent = in_every_syntax(tmp_path / "sent")
    with Receiver(archive) as receiver:
        assert all(r.accepted for r in send(sent, peer(receiver)))
    for ours in sent:
        theirs = archive.instance(ours.sop_instance_uid)
        assert theirs.transfer_syntax_uid == ours.transfer_syntax_uid
        assert dcmread(ours.path).PixelData == dcmread(theirs.path).PixelData


def test_echo(archive: Archive) -> None:
    with Receiver(archive) as receiver:
        echo(peer(receiver))


def test_other_content_for_a_known_uid_is_answered_a900(archive: Archive, instances: tuple[Instance, ...]) -> None:
    with Receiver(archive) as receiver:
        send(instances[:1], peer(receiver))
        ds = dcmread(instances[0].path)
        ds.PatientID = "P-2"
        ds.save_as(instances[0].path)
        (result,) = send([read_instance(Path(instances[0].path))], peer(receiver))
    assert result.status == 0xA900 and not result.accepted
    assert len(files(archive, "quarantine")) == 1
    assert archive.instance(instances[0].sop_instance_uid).patient_id == "P-1"


def test_a_data_set_other_than_announced_is_refused(archive: Archive, instances: tuple[Instance, ...]) -> None:
    """What the command says and what the data set says are two things: a peer that mixes them up is refused."""

    with Receiver(archive) as receiver:
        association = _raw_association(receiver)
        results = []
        for announced in ("1.2.3.4", "../../x", instances[0].sop_instance_uid):
            results.append(_raw_store(association, dcmread(instances[0].path), announced))
        association.release()
    assert results == [0xC000, 0xA900, 0x0000]
    assert len(files(archive, "instances")) == 1 and files(archive, "spool") == []


def _raw_association(receiver: Receiver) -> Any:
    ae = AE()
    ae.add_requested_context(CT, EXPLICIT_LITTLE)
    association = ae.associate("127.0.0.1", receiver.port)
    assert association.is_established
    return association


def _raw_store(association: Any, ds: Dataset, announced: str, cut: int | None = None) -> int:
    """A C-STORE built by hand, whose command may announce another UID and whose data set may be cut short."""
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = ds.SOPClassUID
    request._affected_sop_instance_uid = UID(announced)
    request.Priority = 2
    data = encode(ds, False, True)
    assert data is not None
    request.DataSet = BytesIO(data[:cut])
    association._reactor_checkpoint.clear()  # as send_c_store does: the answer is ours to take
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(answer.Status)


def test_a_data_set_cut_short_is_refused(archive: Archive, instances: tuple[Instance, ...]) -> None:
    ds = dcmread(instances[0].path)
    with Receiver(archive) as receiver:
        association = _raw_association(receiver)
        for cut in (-2, -2000, 700, 300, 120):
            assert _raw_store(association, ds, instances[0].sop_instance_uid, cut) == 0xC000, cut
        assert files(archive, "instances") == files(archive, "spool") == []
        assert _raw_store(association, ds, instances[0].sop_instance_uid) == 0
        association.release()


def test_a_port_in_use_is_said(archive: Archive) -> None:
    with (
        Receiver(archive) as first,
        pytest.raises(PortInUse, match=f"Port {first.port} is in use on 127.0.0.1; choose another"),
    ):
        Receiver(archive, port=first.port)


@contextlib.contextmanager
def nobody() -> Iterator[Peer]:
    """A port that is ours and on which nobody listens, so that it cannot become anybody's meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Peer("127.0.0.1", bound.getsockname()[1], "PACS")


def test_an_unreachable_peer_is_said(instances: tuple[Instance, ...]) -> None:
    with nobody() as unreachable:
        for attempt in (lambda: echo(unreachable), lambda: send(instances, unreachable)):
            with pytest.raises(PeerUnreachable, match=r"PACS at 127\.0\.0\.1:\d+ cannot be reached"):
                attempt()


def test_a_rejected_association_is_said(archive: Archive) -> None:
    ae = AE(ae_title="PACS")
    ae.require_called_aet = True
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        port = server.server_address[1]
        echo(Peer("127.0.0.1", port, "PACS"))
        with pytest.raises(
            PeerUnreachable,
            match="rejected the association from WORKSTATION: it does not answer to the called AE title 'WRONG'",
        ):
            echo(Peer("127.0.0.1", port, "WRONG"))
    finally:
        server.shutdown()


@pytest.mark.parametrize("what", ["write", "index"])
def test_a_full_disk_is_answered_a700_and_the_next_send_succeeds(
    archive: Archive, instances: tuple[Instance, ...], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def full(path: Any, *_: Any) -> None:
        if what == "index":
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with Receiver(archive) as receiver, Sender(peer(receiver)) as sender:
        with monkeypatch.context() as patch:
            patch.setattr(Archive if what == "index" else dimse, "_index" if what == "index" else "spool", full)
            answer = sender.send(instances[0])
        assert answer.status == 0xA700 and not answer.accepted
        assert files(archive, "spool") == [] and archive.all_series() == ()
        assert sender.send(instances[0]).status == 0
    assert len(archive.all_series()[0].instances) == 1


@contextlib.contextmanager
def other_process(folder: Path, *how: str) -> Iterator[tuple[Any, Peer]]:
    command = [sys.executable, "-m", "tests.dicom_io.network.receiving", str(folder), *how]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            yield process, Peer("127.0.0.1", int(process.stdout.readline()), "WORKSTATION")
        finally:
            process.kill()


@pytest.mark.slow
def test_a_real_limit_on_file_size(tmp_path: Path, instances: tuple[Instance, ...]) -> None:
    large = save(image(ramp((1, 400, 400), "int32")[0].astype("int16"), grid(), 99), tmp_path / "large.dcm")
    archive = Archive(tmp_path / "archive")
    with other_process(archive.root, "starved", "300000") as (process, there), Sender(there) as sender:
        assert sender.send(instances[0]).status == 0
        assert sender.send(read_instance(large)).status == 0xA700
        assert files(archive, "spool") == [] and len(files(archive, "instances")) == 1
        print("free", file=process.stdin, flush=True)
        assert process.stdout.readline() == "freed\n"
        assert sender.send(read_instance(large)).status == 0
    assert len(archive.all_series()[0].instances) == 2


@pytest.mark.slow
@pytest.mark.parametrize("how", ["writing", "named", "indexed"])
def test_killed_in_the_middle_of_a_transfer(tmp_path: Path, instances: tuple[Instance, ...], how: str) -> None:
    """kill -9 at the fifth instance, at every point where something is begun and not ended."""
    root = tmp_path / "archive"
    with other_process(root, how, "5") as (process, there):
        results = send(instances, there)
        process.wait(30)
    acknowledged = [r.sop_instance_uid for r in results if r.accepted]
    assert len(acknowledged) == 4
    assert [r.status for r in results[4:]] == [None] * 4

    again = Archive(root)
    again.sweep()
    visible = {i.sop_instance_uid: i for i in again.all_series()[0].instances}
    assert set(acknowledged) <= set(visible)
    assert len(visible) == (5 if how == "indexed" else 4)
    originals = {i.sop_instance_uid: i for i in instances}
    for uid, instance in visible.items():
        assert read_instance(Path(instance.path)) == instance
        assert dcmread(instance.path) == dcmread(originals[uid].path)
    assert files(again, "spool") == []
    # The sender tries again, and everything is there once.
    with Receiver(again) as receiver:
        assert all(r.accepted for r in send(instances, peer(receiver)))
    assert len(again.all_series()[0].instances) == 8 == len(files(again, "instances"))
    assert files(again, "quarantine") == []


@contextlib.contextmanager
def picky_peer(*syntaxes: str, store: Callable[[evt.Event], int] | None = None) -> Iterator[tuple[Peer, list[Dataset]]]:
    """A storage peer of pynetdicom's own that takes nothing but these transfer syntaxes."""
    received: list[Dataset] = []

    def keep(event: evt.Event) -> int:
        ds = event.dataset
        ds.file_meta = event.file_meta
        received.append(ds)
        return 0 if store is None else store(event)

    ae = AE(ae_title="PICKY")
    for kind in STORAGE_CLASSES:
        ae.add_supported_context(kind.uid, list(syntaxes))
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        yield Peer("127.0.0.1", server.server_address[1], "PICKY"), received
    finally:
        server.shutdown()


@pytest.mark.parametrize("accepted", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_a_peer_that_takes_only_uncompressed_gets_it_uncompressed(tmp_path: Path, accepted: str) -> None:
    sent = in_every_syntax(tmp_path)
    with picky_peer(accepted) as (there, received):
        results = send(sent, there)
    assert [(r.status, r.detail) for r in results] == [(0, "")] * len(sent)
    for ds, instance in zip(received, sent, strict=True):
        assert ds.file_meta.TransferSyntaxUID == accepted
        assert ds.SOPInstanceUID == instance.sop_instance_uid
        assert (ds.pixel_array == ramp((1, 32, 32))[0]).all()


def test_a_peer_that_takes_nothing_of_the_kind_is_said_and_nothing_raised(tmp_path: Path) -> None:
    sent = write_series(tmp_path, ramp((2, 32, 32)), grid(), syntax=RLE).instances
    with picky_peer(JPEG_LS) as (there, received), Sender(there) as sender, pytest.raises(PeerUnreachable):
        sender.send(sent[0])
    assert received == []


@pytest.mark.parametrize(("status", "accepted"), [(0xB000, True), (0xB006, True), (0xA700, False), (0x0122, False)])
def test_warnings_are_acceptance_and_failures_are_not(
    instances: tuple[Instance, ...], status: int, accepted: bool
) -> None:
    with picky_peer(EXPLICIT_LITTLE, store=lambda event: status) as (there, _):
        (result,) = send(instances[:1], there)
    assert (result.status, result.accepted) == (status, accepted)
    assert f"0x{status:04X}" in result.detail


def test_a_peer_that_hangs_up_is_reported_for_each_instance(instances: tuple[Instance, ...]) -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    with picky_peer(EXPLICIT_LITTLE, store=abort) as (there, _):
        results = send(instances[:2], there)
    assert [r.accepted for r in results] == [False, False]
    assert all("broke" in r.detail for r in results)


def test_a_file_gone_since_is_reported_and_the_rest_is_sent(instances: tuple[Instance, ...], archive: Archive) -> None:
    Path(instances[1].path).unlink()
    with Receiver(archive) as receiver:
        results = send(instances[:3], peer(receiver))
    assert [r.accepted for r in results] == [True, False, True]


@pytest.mark.parametrize("allowed", [1, 3])
def test_several_associations_as_far_as_the_peer_takes_them(archive: Archive, tmp_path: Path, allowed: int) -> None:
    sent = write_series(tmp_path / "many", ramp((24, 16, 16)), grid()).instances
    told: list[str] = []
    with Receiver(archive, rules=Rules(max_associations=allowed)) as receiver:
        results = send(sent, peer(receiver), progress=lambda s: told.append(s.sop_instance_uid), associations=3)
        assert receiver.counts["associations_accepted"] >= 1
        assert receiver.counts["associations_rejected"] <= (2 if allowed == 1 else 0)
    assert [r.sop_instance_uid for r in results] == [i.sop_instance_uid for i in sent]
    assert all(r.accepted for r in results)
    assert sorted(told) == sorted(i.sop_instance_uid for i in sent)
    assert len(archive.all_series()[0].instances) == 24


def test_the_first_association_is_opened_before_the_others(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one of the others may take the only association of the peer, and the first be told that nobody is there."""
    sent = write_series(tmp_path / "many", ramp((6, 16, 16)), grid()).instances
    main, another, first = threading.get_ident(), threading.Event(), threading.Event()

    def associate_late(*given: Any) -> Any:
        if threading.get_ident() != main:
            made = associate(*given)
            another.set()
            first.wait(5)
            return made
        another.wait(0.2)  # one of the others has the time to be faster
        try:
            return associate(*given)
        finally:
            first.set()

    monkeypatch.setattr("dicom_io.network.send.associate", associate_late)
    with Receiver(archive, rules=Rules(max_associations=1)) as receiver:
        results = send(sent, peer(receiver), associations=3)
    assert [r.status for r in results] == [0] * 6


def test_several_associations_to_nobody_are_said(instances: tuple[Instance, ...]) -> None:
    with nobody() as unreachable, pytest.raises(PeerUnreachable, match="nobody listens there"):
        send(instances, unreachable, associations=4)


def test_kinds_that_were_not_proposed_at_first(tmp_path: Path, archive: Archive) -> None:
    sent = in_every_syntax(tmp_path)
    with Receiver(archive) as receiver, Sender(peer(receiver)) as sender:  # proposes nothing from the start
        assert all(sender.send(instance).accepted for instance in sent)
    assert len(archive.all_series()) == len(SYNTAXES)
