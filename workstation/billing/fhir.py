"""FHIR ChargeItem, R4B and R5: a charge as a resource, validated by `fhir.resources` before it leaves.

`fhir.resources` is an optional dependency (the extra `fhir`); only destinations of kind fhir need it.
Source: HL7 FHIR R4B and R5, resource ChargeItem.
"""

import json
from datetime import datetime
from importlib import import_module
from typing import Any, Literal

from dicom_io.person_names import first_group
from workstation.billing.charged_line import Billed
from workstation.destinations import FhirForm, IdentifierKind
from workstation.errors import WorkstationError

FhirVersion = Literal["R4B", "R5"]

# Code systems by the addresses that FHIR (terminologies, external code systems) gives them.
_NPI = "http://hl7.org/fhir/sid/us-npi"
_CPT = "http://www.ama-assn.org/go/cpt"
_ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
_KEY = "urn:workstation:charge-key"
_BASE = "urn:workstation:base-procedure"
_ENTITY = "urn:workstation:charge-entity"
# ChargeItem has no place for a modifier; Claim.item has. This is how FHIR names an element of another resource as an
# extension (R5, 2.1.6.4, extensions for converting between versions).
_MODIFIER = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Claim.item.modifier"


_PLAIN = FhirForm()


class FhirError(WorkstationError):
    """A resource cannot be built. The message says what is missing, and never whose it is."""


def charge_item(
    billed: Billed,
    version: FhirVersion,
    at: datetime,
    credit: bool,
    validate: bool = True,
    form: FhirForm = _PLAIN,
) -> tuple[str, bytes]:
    """Return the identity, `ChargeItem-ID-action`, and the resource as JSON.

    The id is the charge's key in lower case, so that a PUT of the same again changes nothing. A credit is the same
    resource as entered in error: it should not have been, and nothing of it is billed. at : when it is made, which is
    enteredDate; the day of service is occurrenceDateTime.

    Raises
    ------
    FhirError
        `fhir.resources` is not installed, or finds the resource not valid.
    """
    subject, line = billed.subject, billed.line
    identifier = billed.key.lower()
    item: dict[str, Any] = {
        "resourceType": "ChargeItem",
        "id": identifier,
        "identifier": [{"system": _KEY, "value": billed.key}],
        "status": "entered-in-error" if credit else "billable",
        "code": {"coding": [{"system": _CPT, "code": line.code}]},
        "subject": {"identifier": _identifier("patient", subject.patient_id, form)},
        "occurrenceDateTime": subject.date_of_service.isoformat(),
        "enteredDate": at.isoformat(),
        "supportingInformation": [{"identifier": {"system": _BASE, "value": f"{subject.accession}/{line.base}"}}],
        "note": [{"text": f"{_ENTITY}:{line.entity}; modifiers {' '.join(line.modifiers) or 'none'}"}],
    }
    # A modifier has no place of its own in ChargeItem.
    modifiers = [{"system": _CPT, "code": modifier} for modifier in line.modifiers]
    if form.modifiers == "coding":
        item["code"]["coding"] += modifiers
    elif modifiers:
        item["extension"] = [{"url": _MODIFIER, "valueCodeableConcept": {"coding": [each]}} for each in modifiers]
    quantity = {"value": line.units}
    item["quantity"] = quantity
    if subject.account_number:
        item["account"] = [{"identifier": _identifier("account", subject.account_number, form)}]
    if subject.visit_number:
        encounter = {"identifier": _identifier("visit", subject.visit_number, form)}
        item["encounter" if version == "R5" else "context"] = encounter
    if subject.performing_physician_id:
        item["performer"] = [{"actor": _performer(billed, form)}]
    if subject.diagnoses:
        reasons = [{"coding": [{"system": _ICD_10_CM, "code": code}]} for code in subject.diagnoses]
        item["reason"] = reasons
    service = {"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{subject.study_instance_uid}"}}
    item["service"] = [{"reference": service}] if version == "R5" else [service]
    if form.details:
        item |= _details(billed, form)
    if validate:
        _validate(item, version)
    action = "credit" if credit else "charge"
    body = json.dumps(item, ensure_ascii=False, sort_keys=True).encode()
    return f"ChargeItem-{identifier}-{action}.json", body


def _identifier(kind: IdentifierKind, value: str, form: FhirForm) -> dict[str, str]:
    system = form.systems.get(kind, "")
    return {"system": system, "value": value} if system else {"value": value}


def _performer(billed: Billed, form: FhirForm) -> dict[str, Any]:
    """Reference(Practitioner): the local identifier; with details the NPI where it is known, and the name."""
    identifier, performing = billed.subject.performing_physician_id, billed.subject.performing
    actor: dict[str, Any] = {"identifier": _identifier("physician", identifier, form)}
    if form.details and performing.id == identifier:
        if performing.npi:
            actor["identifier"] = {"system": _NPI, "value": performing.npi}
        if name := first_group(performing.name).spoken:
            actor["display"] = name
    return actor


def _details(billed: Billed, form: FhirForm) -> dict[str, Any]:
    """What else ChargeItem has a place for; what is not known is left out."""
    subject = billed.subject
    found: dict[str, Any] = {
        # Nobody keys a charge in: the device enters it, on the signature that the record holds.
        "enterer": {"type": "Device", "identifier": {"value": subject.sending_application}},
    }
    if subject.sending_facility:
        found["performingOrganization"] = {"identifier": _identifier("organization", subject.sending_facility, form)}
    if subject.department:
        found["costCenter"] = {"identifier": _identifier("department", subject.department, form)}
    if subject.regions:
        found["bodysite"] = [{"text": region} for region in subject.regions]
    return found


def _validate(item: dict[str, Any], version: FhirVersion) -> None:
    name = "fhir.resources.chargeitem" if version == "R5" else "fhir.resources.R4B.chargeitem"
    try:
        model = import_module(name).ChargeItem
    except ImportError:
        raise FhirError(
            "A destination of kind fhir needs the package fhir.resources; install workstation[fhir]."
        ) from None
    try:
        model.model_validate(item)
    except ValueError as error:
        # Its words quote the values at fault, so only the places are told.
        places = ", ".join(".".join(map(str, each["loc"])) for each in getattr(error, "errors", list)())
        raise FhirError(
            f"The ChargeItem is not valid FHIR {version} ({places or 'whole'}); nothing was built."
        ) from None
