"""Which patients and accounts have become others, by the merges of all messages: chains, and there and back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from workstation.orders.patients import PatientIdentifier
from workstation.orders.stated import Demographics, Merged, Stated


@dataclass(frozen=True, slots=True)
class Merges:
    """Which identifier of a patient, and which account, has become which."""

    patients: Mapping[PatientIdentifier, tuple[Stated, Merged]]
    accounts: Mapping[str, tuple[Stated, Merged]]

    def patient(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, Demographics | None]:
        """Return the identifier that counts now, with the demographics of its merge if there was one."""
        survivor, merge = _followed(identifier, self._merge_of, lambda merged: merged.survivor)
        return survivor, merge.demographics if merge and merge.demographics.name else None

    def account(self, number: str) -> str:
        """Return the account that counts now."""
        return _followed(number, self.accounts.get, lambda merged: merged.account)[0]

    def _merge_of(self, identifier: PatientIdentifier) -> tuple[Stated, Merged] | None:
        found = [step for prior, step in self.patients.items() if prior.same(identifier)]
        return max(found, key=lambda step: step[0].order, default=None)


def merges_of(stated: Iterable[Stated]) -> Merges:
    """Return the merges among the statements; for a prior identifier the newest counts."""
    patients: dict[PatientIdentifier, tuple[Stated, Merged]] = {}
    accounts: dict[str, tuple[Stated, Merged]] = {}
    for each in sorted(stated, key=lambda one: one.order):
        merge = each.statement
        if isinstance(merge, Merged):
            if not merge.prior.same(merge.survivor):
                patients[merge.prior] = each, merge
            if merge.prior_account and merge.account and merge.prior_account != merge.account:
                accounts[merge.prior_account] = each, merge
    return Merges(patients, accounts)


_Key = TypeVar("_Key")


def _followed(
    start: _Key, step_from: Callable[[_Key], tuple[Stated, Merged] | None], target: Callable[[Merged], _Key]
) -> tuple[_Key, Merged | None]:
    way: list[tuple[Stated, Merged]] = []
    seen = [start]
    while (step := step_from(seen[-1])) is not None:
        way.append(step)
        now = target(step[1])
        if now in seen:
            # Merged there and back: the newest of the circle says who is left.
            circle = way[seen.index(now) :]
            newest = max(circle, key=lambda each: each[0].order)[1]
            return target(newest), newest
        seen.append(now)
    return seen[-1], way[-1][1] if way else None
