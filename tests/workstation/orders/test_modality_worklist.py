"""A modality worklist's steps become orders on file, once, and again when they change."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_io.network.query import Scheduled
from tests.peers.servers import listening, program, run
from tests.peers.test_query import WORKLIST
from workstation.config import Config, WorklistSettings
from workstation.orders.modality_worklist import file_orders, order_message, poll
from workstation.orders.stated import Ordered
from workstation.orders.statements import statements_of
from workstation.peers.known import KnownPeer, add_peer
from workstation.site import Site

STEP = Scheduled(
    accession="ACC-7", study_uid="1.2.3", requested_procedure_id="RP-7", procedure_code="70450",
    procedure_description="CT head | with 3D", step_id="SPS-7", modality="CT", station_ae_title="SCANNER",
    start_date="20260302", start_time="101500", patient_id="P-7", patient_name="Müller^Jörg", birth_date="19700101",
    sex="F", referring_physician="Refer^Anna",
)  # fmt: skip


def stated(site: Site, accession: str) -> list[Ordered]:
    zone = site.clock().tzinfo
    assert zone is not None
    found = []
    for message in site.casebook.messages("accession", {accession}):
        found += [s.statement for s in statements_of(message.body, site.config.reading, zone)]
    return [s for s in found if isinstance(s, Ordered)]


def test_a_step_is_an_order_once(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    site = site_at(tmp_path)
    assert file_orders(site, [STEP]) == 1
    (order,) = stated(site, "ACC-7")
    (item,) = order.items
    assert (order.patients[0].number, item.code, item.status, item.study_uid) == ("P-7", "70450", "scheduled", "1.2.3")
    assert site.casebook.due() == ("ACC-7",) and site.casebook.refused() == ()
    assert file_orders(site, [STEP]) == 0
    assert file_orders(site, [replace(STEP, procedure_code="70496")]) == 1
    assert [o.items[0].code for o in stated(site, "ACC-7")] == ["70450", "70496"]


def test_two_procedures_of_one_accession_are_two_orders(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    site = site_at(tmp_path)
    other = replace(STEP, requested_procedure_id="RP-8", procedure_code="70496")
    assert file_orders(site, [STEP, other]) == 2
    assert [o.items[0].number for o in stated(site, "ACC-7")] == ["RP-7", "RP-8"]


@pytest.mark.parametrize("lacking", ["accession", "patient_id", "procedure_code"])
def test_what_can_be_matched_to_nothing_is_passed_over(
    tmp_path: Path, site_at: Callable[..., Site], lacking: str
) -> None:
    site = site_at(tmp_path)
    assert file_orders(site, [replace(STEP, **{lacking: ""})]) == 0
    assert site.casebook.due() == ()


def test_delimiters_in_a_text_stay_text(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    site = site_at(tmp_path)
    body = order_message(STEP, "ACC-7", "X", site.clock(), site).decode()
    assert "CT head \\F\\ with 3D" in body and "Müller^Jörg" in body


def test_from_dcmtks_worklist(tmp_path: Path, site_at: Callable[..., Site]) -> None:
    folder = tmp_path / "lists" / "WLM"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    (tmp_path / "item.dump").write_text(WORKLIST)
    run(program("dump2dcm"), tmp_path / "item.dump", folder / "item.wl")
    site = site_at(tmp_path / "root", Config(worklist=WorklistSettings("ris", modality="CT")))
    said: list[dict[str, object]] = []
    with listening(lambda ports: [program("wlmscpfs"), "-dfp", tmp_path / "lists", str(ports[0])]) as (port,):
        add_peer(site.root, KnownPeer("ris", "127.0.0.1", port, "WLM"))
        assert poll(site, said.append) == 1
        assert poll(site, said.append) == 0
    assert said == [{"event": "worklist", "new": 1, "listed": 1}]
    assert [i.code for o in stated(site, "ACC-7") for i in o.items] == ["70450"]
    assert poll(site, said.append) == 0 and said[-1]["event"] == "worklist failed"
