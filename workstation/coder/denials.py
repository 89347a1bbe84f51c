"""What a coder does with what a payer denied: charge it again, write it off, or appeal."""

from collections.abc import Sequence

from dicom_io.evidence import Person
from workstation.billing.settle import SettledCase
from workstation.coder.acts import credit, file_act, fresh_case, may, own_charges, release
from workstation.coder.work_list import WorkError, is_appealed
from workstation.site import Site

WRITTEN_OFF = "write-off"


def rebill(
    site: Site,
    word: str,
    by: Person,
    why: str,
    modifiers: Sequence[str] = (),
    base: str = "",
    lines: Sequence[int] = (),
) -> list[SettledCase]:
    """Charge again what the payer denied; the denied charge is taken back by the same act. A release of this hold.

    Raises WorkError when no charge of the case stands denied, and as `acts.release`.
    """
    _check_denied(site, word)
    return release(site, word, by, why, modifiers, base, lines)


def write_off(site: Site, word: str, by: Person, why: str) -> list[SettledCase]:
    """Take back what the payer denied, and charge it no more until the case is reopened. A credit, kept by this word.

    Raises WorkError when no charge of the case stands denied, and as `acts.credit`.
    """
    _check_denied(site, word)
    return credit(site, word, by, why, WRITTEN_OFF)


def appeal(site: Site, word: str, by: Person, text: str) -> None:
    """Write down that the payer's denial is appealed against, with the words of the appeal. The case stays held, and
    shows as appealed until somebody decides what follows from the payer's answer.

    Raises WorkError when no charge of the case stands denied, or there is an appeal already.
    """
    who = may(by, "appeal", text)
    _check_denied(site, word)
    ruling = fresh_case(site, word)
    acts = site.casebook.acts(ruling.session)
    if ruling.state != "held":
        raise WorkError(f"{word}: the case is {ruling.state}, not held; reopen it first. Nothing was done.")
    if is_appealed(ruling.state, ruling.content["reasons"], acts):
        raise WorkError(f"{word}: there is an appeal already that waits for its answer. Nothing was done.")
    keys = [known.charge.key for known in own_charges(site, ruling) if known.stands_at_billing]
    file_act(site, ruling, who, "appeal", text, {"keys": keys}, due=False)


def _check_denied(site: Site, word: str) -> None:
    if not any(known.stands_at_billing for known in own_charges(site, fresh_case(site, word))):
        raise WorkError(f"{word}: no charge of this case stands as denied by the payer. Nothing was done.")
