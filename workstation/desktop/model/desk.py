"""The desktop's access to the workstation: studies, the current decision, signing and delivery.

Knows no Qt. Delivery goes through the same pipeline as every other case.
"""

import importlib
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dicom_io.evidence import ImageReference, Person
from dicom_io.files.instance import Instance
from dicom_io.files.series import read_dataset
from dicom_io.objects.inherit import issuer_of_patient_id
from dicom_io.sr.evidence_sr import record_series
from dicom_io.sr.report_sr import WrittenReport
from render import Recipe
from render.engine import cpu
from render.progress import Progress
from render.protocols import Protocol, load_protocol, protocol_names
from render.recipe import digest
from render.resolve import settled
from render.volume import Volume
from workstation.audit.trail import Action, by_study, trail_of
from workstation.billing.settle import preview as preview_record
from workstation.case import Case, CaseError, FusedVolume, region_of
from workstation.charge import Decision
from workstation.charge.facts import Report
from workstation.desktop.model import verdicts
from workstation.desktop.model.measuring import avoided_of, recorded, recorded_segments
from workstation.desktop.model.notes import notes_of
from workstation.desktop.model.remote import Remote
from workstation.desktop.model.report_check import NO_REGION, Obstacle, obstacle_to_signing
from workstation.desktop.model.screen import VolumeKey
from workstation.desktop.model.session import Draft, warm_files
from workstation.desktop.model.signing import (
    PROTOCOL,
    SignedStudy,
    being_stored,
    note_signature,
    session_uid_of,
    unfinished,
)
from workstation.desktop.model.studies import Opened, Studies
from workstation.desktop.model.target_lesions import targets_recorded
from workstation.desktop.model.verdicts import Missing, Verdict, coded, verdict_of
from workstation.pipeline import run
from workstation.preparation.proposals import take
from workstation.session_record import evidence_as_if
from workstation.signed_report import file_report
from workstation.site import Site
from workstation.storage import take_in
from workstation.store.cases import STATE_WORDS, Record, Ruling
from workstation.store.journal import EventKind, about
from workstation.store.papers import SupervisorStatement
from workstation.store.papers import WorkedSession as Worked
from workstation.transports.deliver import deliver_all

NOBODY = "nobody signed in"
_NOBODY = Person("nobody", "Nobody", "automatic")


class ReadingDesk:
    """The desktop's side of a site."""

    def __init__(self, site: Site, region: str = "") -> None:
        self.site, self.people, self._region = site, site.people, region
        self.studies = Studies(site)
        self._trail = trail_of(site.config, site.root)
        self._recorder = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._finishing = threading.Lock()
        self._delivered: dict[VolumeKey, str] = {}
        # Kernels are loaded from disk while the work list loads, so that the first picture need not wait.
        self.warming = threading.Thread(target=_warm, name="kernels", daemon=True)

    def warm(self) -> None:
        """Begins to load what the first study would otherwise wait for."""
        if self.warming.ident is None:
            self.warming.start()

    def note(self, opened: Opened, person: Person | None, kind: EventKind, recipe: Recipe | None = None) -> None:
        """Journals an act of a signed-in person; acts without one are not recorded.

        The time is taken now; a thread records the acts in order, because the first digest reads all voxels.
        """
        if person is None:
            return
        uid, at, volume = session_uid_of(*opened.key), self.site.clock(), opened.session.volume
        drawn = digest(settled(volume, recipe)) if recipe is not None else ""

        def record() -> None:
            self.site.journal.record(uid, person, kind, at, about(volume.digest, drawn))

        self._recorder.submit(record)

    def signed_in(self, person_id: str, *, out: bool = False, refused: bool = False) -> None:
        """Writes to the audit trail who signed in or out, or could not sign in."""
        self._trail.authenticated(person_id, self.site.clock(), out=out, outcome="4" if refused else "0")

    def opened_by(self, opened: Opened, person: Person | None) -> None:
        """Writes to the audit trail who opened a study."""
        self._accessed(opened, person, opened.series.instances, "R")

    def remote(self, person: Person | None) -> Remote:
        """Returns the other nodes, to be queried in a person's name."""
        return Remote(self.site, _named(person))

    def take_in(self, path: Path, person: Person | None) -> int:
        """Copies the DICOM files below a path into the archive. Returns how many instances were found."""
        return sum(len(series.instances) for series in take_in(self.site, path, _named(person)).series)

    def _accessed(self, opened: Opened, person: Person | None, what: Iterable[Instance], action: Action) -> None:
        for study in by_study(what):
            self._trail.accessed(_named(person), study, action, self.site.clock())

    def close(self) -> None:
        """Closes the databases."""
        self._recorder.shutdown()
        if self.warming.ident is not None:
            self.warming.join()
        self.site.papers.engine.dispose()

    # ------------------------------------------------------------------------------------------------ the charge

    def verdict(self, opened: Opened, person: Person | None) -> Verdict:
        """Returns the decision as if the person signed now; after delivery, the one that was made."""
        ruling = self._ruling(opened)
        if ruling is not None:
            missing = tuple(Missing(r["sentence"], r["resolver"]) for r in ruling.content["explanations"])
            charged = ", ".join(coded(x["code"], x["modifiers"], x["base"]) for x in ruling.content["lines"])
            values = {"state": STATE_WORDS.get(ruling.state, ruling.state), "codes": charged}
            return Verdict(verdicts.DELIVERED, missing, self._sent(opened.series.first.accession), values)
        if opened.session.sealed:
            return Verdict(verdicts.STORING)
        if not opened.session.screen.captures:
            return Verdict(verdicts.NOTHING_YET, (Missing(verdicts.NO_PICTURE, "technologist", "captures"),))
        try:
            decision = self.preview(opened, person)
        except CaseError as error:
            return Verdict(verdicts.NO_REGION, (Missing(str(error), "technologist", "region"),))
        return verdict_of(decision, ", ".join(d.name for d in self.site.config.destinations if d.archiving != "kept"))

    def _sent(self, accession: str) -> str:
        """Returns the state of an accession's messages: one line for each charge, one for all pictures."""
        entries = self.site.outbox.of_accession(accession)
        lines = [
            f"{e.message.kind} to {e.message.destination}: {e.state}{f', {e.last_detail}' if e.last_detail else ''}"
            for e in entries
            if e.message.concerns_money
        ]
        pictures = [e for e in entries if not e.message.concerns_money]
        if pictures:
            done = sum(e.state == "acknowledged" for e in pictures)
            lines.append(f"{done} of {len(pictures)} images and records acknowledged")
        return "\n".join(lines)

    def send(self, tell: Progress = lambda what, part: None) -> str:
        """Tries to deliver every waiting message. Returns the result as a sentence. `serve` delivers by itself."""
        tell("sending", 0.0)
        tried = deliver_all(self.site)
        if not tried:
            return "Nothing was waiting to be sent, or the server is sending it."
        done = sum(delivery.outcome == "acknowledged" for _, delivery in tried)
        return f"{done} of {len(tried)} messages acknowledged."

    def _ruling(self, opened: Opened) -> Ruling | None:
        """Returns the decision that was made of what is signed; None for work that is not signed, or not stored yet."""
        if not opened.session.sealed or being_stored(self.site, *opened.key) is not None:
            return None
        if opened.key not in self._delivered and opened.signed is not None:
            known = self.site.casebook.sessions_by_sr(opened.series.first.accession)
            self._delivered[opened.key] = known.get(opened.signed.record.sop_instance_uid, "")
        session = self._delivered.get(opened.key)
        return self.site.casebook.newest_of(session) if session else None

    def preview(self, opened: Opened, person: Person | None) -> Decision:
        """Decides as if the person signed now; draws and stores nothing."""
        physician = person if person is not None and person.role == "physician" else None
        asked, session = self.region(opened), opened.session
        case = self._case(opened, person or _NOBODY, physician, asked)
        region = region_of(asked, "", opened.series.first.body_part)
        # Without a signed-in person, opening journals nothing; a session begins with its first event.
        evidence = evidence_as_if(case, self.site, opened.series, region, ("approval",))
        # As it will be read from the SR, which has it from this header: the decision asks whose number it is.
        issuer = issuer_of_patient_id(read_dataset(str(opened.series.first.path)))
        evidence = replace(evidence, patient_id_issuer=issuer)
        series_uid = record_series(self.site.stamp(case.session_uid, self._begun(case)))
        record = Record(evidence.sop_instance_uid, series_uid, "", self.site.clock(), evidence)
        return preview_record(record, _as_report(session.draft), self.site)

    def _begun(self, case: Case) -> datetime:
        """Returns the time for the session's stamp: when it began."""
        entries = self.site.journal.entries(case.session_uid)
        return entries[0].at if entries else self.site.clock()

    def _case(self, opened: Opened, person: Person, physician: Person | None, region: str) -> Case:
        """Makes a case to run from the desktop's state, still without measurements."""
        session, draft = opened.session, opened.session.draft
        recipes = tuple(capture.recipe for capture in session.screen.captures)
        statement = SupervisorStatement(
            text="I supervised this 3D post-processing and chose the pictures."
            if draft.concurrent
            else "I chose the pictures.",
            signed=True,
            concurrent_supervision=draft.concurrent,
            independent_workstation_required=draft.required,
        )
        worked = Worked(session.operator or person, physician, (), statement if physician is not None else None)
        prepared = frozenset(each.recipe.name for each in session.screen.captures if each.origin == "prepared")
        protocol = _as_protocol(opened, region, recipes)
        fused = tuple((c.recipe.name, FusedVolume(*c.second)) for c in session.screen.captures if c.second is not None)
        bridged = session.bridged
        return Case(opened.series.uid, protocol, session.which, region, worked, bridged, prepared=prepared, fused=fused)

    # ------------------------------------------------------------------------------------------------ delivery

    def deliver(self, opened: Opened, person: Person, tell: Progress = lambda what, part: None) -> str:
        """Signs and stores at once: `sign` and then `finish`. Raises as both."""
        return self.finish(self.sign(opened, person), tell, opened.session.volume)

    def sign(self, opened: Opened, person: Person) -> SignedStudy:
        """Takes down what is signed, durably and in a moment; what happens on the screen afterwards does not change it.
        Only to be called when the person has just given their secret.

        Raises CaseError when this person cannot sign.
        """
        session = opened.session
        if (obstacle := self.obstacle(opened, person)) is not None:
            raise CaseError(str(obstacle))
        if session.sealed or being_stored(self.site, *opened.key) is not None:
            raise CaseError("This study is signed already. Amend it to sign another version, once this one is stored.")
        uid = session_uid_of(*opened.key)
        signing = SignedStudy(
            1,
            opened.series.uid,
            session.which,
            uid,
            self.region(opened),
            session.screen,
            session.draft,
            session.operator,
            person,
            session.bridged,
        )
        content = signing.keep(self.site)
        session.sealed = True
        self._recorder.submit(note_signature, self.site, signing, content)
        self.note(opened, person, "approval")
        return signing

    def obstacle(self, opened: Opened, person: Person | None) -> Obstacle | None:
        """Returns why this person cannot sign the study now; None when signing is possible."""
        found = obstacle_to_signing(person, opened.session, self.site.config.report_requires)
        if found is not None:
            return found
        part = opened.series.first.body_part
        try:
            region_of(self.region(opened), "", part)
        except CaseError:  # said before the signature: after it, what is signed could not be stored
            return Obstacle(NO_REGION, {"part": part or "-"})
        return None

    def region(self, opened: Opened) -> str:
        """Returns the region that was chosen for a study: by its reader, else for all; empty where the images say."""
        return opened.session.draft.region or self._region

    def region_unless_chosen(self, opened: Opened) -> str:
        """Returns the region of a study for which its reader chooses none; empty where that is not known."""
        try:
            return region_of(self._region, "", opened.series.first.body_part)
        except CaseError:
            return ""

    def unfinished(self) -> tuple[SignedStudy, ...]:
        """Returns what was signed here and is not stored yet, because the program ended in between."""
        return tuple(unfinished(self.site))

    def finish(
        self, signing: SignedStudy, tell: Progress = lambda what, part: None, volume: Volume | None = None
    ) -> str:
        """Draws, stores and records the captures, files the signed report, decides and queues. Returns the result as a
        sentence. One study at a time; a second time stores and charges nothing twice.

        volume : that of the series, where it is at hand. Raises the errors of the pipeline.
        """
        with self._finishing:
            series, person = self.site.archive.series(signing.series_uid), signing.person
            if volume is None:
                volume = self.studies.volume(signing.key, tell)
            opened = Opened(series, signing.session(volume), "")
            session = opened.session
            self._recorder.submit(lambda: None).result()  # earlier acts are in the journal before the record is made
            screen = session.screen
            drawn = recorded(screen.measures, volume, avoided_of(screen))
            targets = targets_recorded(screen, drawn, volume)
            taken = (*drawn, *targets, *recorded_segments(screen, volume))
            case = replace(
                self._case(opened, person, person, signing.region),
                measurements=taken,
                notes=notes_of(session.screen.measures),
            )
            outcome = run(case, self.site, tell, built=volume)
            keys = {capture.recipe.name for capture in session.screen.captures if capture.key}
            images = tuple(i for p in outcome.evidence.products if p.name in keys for i in p.images)
            self._file_report(opened, person, case, images)
            self._accessed(opened, person, (*outcome.images, outcome.sr), "C")
            signing.done(self.site)
            take(self.site, signing.series_uid, signing.which)
        pictures = len(session.screen.captures)
        known = self.site.casebook.sessions_by_sr()[outcome.sr.sop_instance_uid]
        self._delivered[opened.key] = known
        ruling = self.site.casebook.newest_of(known)
        state = STATE_WORDS.get(ruling.state, ruling.state) if ruling is not None else "recorded"
        return f"Signed and delivered: {len(outcome.images)} images, {pictures} pictures; {state}."

    def _file_report(self, opened: Opened, person: Person, case: Case, key_images: tuple[ImageReference, ...]) -> None:
        draft = opened.session.draft
        stated = (
            ("three_d_findings", draft.findings),
            ("workstation_statement", draft.workstation),
            ("medical_necessity", draft.necessity),
            ("clinical_utility", draft.utility),
        )
        report = WrittenReport(
            person, self.site.clock(), draft.indication, draft.findings, draft.impression,
            tuple((fact, text) for fact, text in stated if text.strip()), key_images,
        )  # fmt: skip
        file_report(report, opened.series, case.session_uid, self.site)


def _as_protocol(opened: Opened, region: str, recipes: tuple[Recipe, ...]) -> Protocol:
    """Makes a protocol of the captures."""
    draft, unit = opened.session.draft, opened.session.volume.unit
    return Protocol(
        PROTOCOL, "Captured at the desktop", draft.clinical_use or "", region, opened.series.modality, unit,
        "chosen by the reader", recipes,
    )  # fmt: skip


# Libraries of the tools that seek, loaded at their first use: the window is there a third sooner.
_SOUGHT_WITH = ("scipy.ndimage", "skimage.segmentation")


def _warm() -> None:
    """Loads what the first study or its first capture would otherwise wait for: kernels, what writes its file, and what
    seeks structures in it."""
    for name in protocol_names():
        load_protocol(name)
    cpu.frames.warm()
    warm_files()
    for name in _SOUGHT_WITH:
        importlib.import_module(name)


def _as_report(draft: Draft) -> Report:
    """Returns the facts that the draft will state once signed; its patient is the record's."""
    return Report(
        "final",
        None,
        bool(draft.findings.strip()),
        bool(draft.workstation.strip()),
        bool(draft.necessity.strip()),
        bool(draft.utility.strip()),
    )


def _named(person: Person | None) -> str:
    """Returns the person's ID for the audit trail."""
    return person.id if person is not None else NOBODY
