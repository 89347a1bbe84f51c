"""Orders from a modality worklist: each scheduled step becomes an order message of our own, filed as the RIS's are.

An entry that says the same as before files nothing. One that has changed is stated when it is first seen, so that among
orders that came by HL7 the newer one counts. Source: PS3.4 Table K.6-1 for what is where.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

from dicom_io.dates import da
from dicom_io.errors import DicomIOError
from dicom_io.network.query import Scheduled
from dicom_io.person_names import first_group
from workstation.hl7.names import xpn_components
from workstation.hl7.syntax import escape, join_components
from workstation.orders.hl7_listener import file_own_order
from workstation.peers.ask import questions_to
from workstation.peers.known import PeersError
from workstation.site import Site


def poll(site: Site, tell: Callable[[dict[str, Any]], None] = lambda event: None) -> int:
    """Asks the peer that the settings name for its worklist, and files what is new. Returns how many orders that is."""
    settings = site.config.worklist
    if settings is None:
        return 0
    day = da(site.clock())
    try:
        steps = questions_to(site.root, site.config, settings.peer, site.clock).scheduled(
            dates=f"{day}-" if settings.ahead else day,
            modality=settings.modality,
            station_ae_title=settings.station_ae_title,
        )
    except (DicomIOError, PeersError) as error:
        tell({"event": "worklist failed", "detail": str(error)})
        return 0
    new = file_orders(site, steps)
    if new:
        tell({"event": "worklist", "new": new, "listed": len(steps)})
    return new


def file_orders(site: Site, steps: Sequence[Scheduled]) -> int:
    """Files the steps that say something new. One without accession, patient ID or code can be matched to nothing."""
    count = 0
    procedures = {(step.accession, step.requested_procedure_id) for step in steps}
    several = {accession for accession, n in Counter(accession for accession, _ in procedures).items() if n > 1}
    for step in steps:
        if not (step.accession and step.patient_id and step.procedure_code):
            continue
        control = f"MWL{hashlib.sha256(repr(astuple(step)).encode()).hexdigest()[:17]}"
        known = {message.control_id for message in site.casebook.messages("accession", {step.accession})}
        if control not in known:
            number = step.requested_procedure_id if step.accession in several else step.accession
            count += file_own_order(order_message(step, number, control, site.clock(), site), site) == "AA"
    return count


def order_message(step: Scheduled, number: str, control: str, at: datetime, site: Site) -> bytes:
    """ORM^O01 of a scheduled step. Source: HL7 v2.5.1 4.4.1; IPC by 4.5.6.

    number : the filler's, which is the accession where one accession is one procedure.
    """

    def line(name: str, fields: dict[int, str]) -> str:
        return "|".join([name, *(fields.get(n, "") for n in range(1, max(fields) + 1))])

    listener = site.config.listener
    application = "WORKLIST"
    name = join_components(*xpn_components(first_group(step.patient_name)))
    code = f"{escape(step.procedure_code)}^{escape(step.procedure_description)}"
    header = ["^~\\&", escape(application), "", "", "", f"{at:%Y%m%d%H%M%S%z}", "", "ORM^O01", control]
    header += [listener.processing_id if listener else "P", "2.5.1", "", "", "", "", "", "UNICODE UTF-8"]
    order = {1: "1", 2: escape(step.requested_procedure_id), 3: escape(number), 4: code, 18: escape(step.accession)}
    segments = [
        line("MSH", dict(enumerate(header, start=1))),
        line("PID", {3: escape(step.patient_id), 5: name, 7: escape(step.birth_date), 8: escape(step.sex)}),
        line("ORC", {1: "NW", 2: escape(step.requested_procedure_id), 3: escape(number), 5: "SC"}),
        line("OBR", order),
        line("IPC", {1: escape(step.accession), 2: escape(step.requested_procedure_id), 3: escape(step.study_uid)}),
    ]
    return ("\r".join(segments) + "\r").encode()
