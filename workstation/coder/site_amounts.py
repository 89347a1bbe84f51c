"""What many cases of a site may bring, by its fee file and settings: each kind of case is worked out once."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from workstation.charge.cms_imports import FEES_FILE, imported_fees
from workstation.coder.expected_amount import ExpectedAmount, expected_amount
from workstation.config import Config
from workstation.site import Site


def version_of_fees(site: Site) -> tuple[int, int] | None:
    """Return what changes when fees are imported; None where there are none."""
    try:
        status = (site.root / FEES_FILE).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class SiteAmounts:
    """Expected amounts with the fees that are in force when it is made."""

    def __init__(self, site: Site) -> None:
        self._config, self._file = site.config, imported_fees(site.root)
        self._configs: dict[tuple[date, ...], Config] = {}
        self._known: dict[tuple[Any, ...], ExpectedAmount | None] = {}

    def config_on(self, day: date | None) -> Config:
        """Return the settings for a date of service."""
        in_force = self._in_force(day)
        if in_force not in self._configs:
            self._configs[in_force] = self._config.on(day)
        return self._configs[in_force]

    def of(self, lines: Sequence[Mapping[str, Any]], payer: str, day: date | None) -> ExpectedAmount | None:
        """Return what the lines of a case may bring together, None where that is not known."""
        if day is None or not lines:
            return None
        each = tuple((line["code"], tuple(line["modifiers"]), line["units"], line.get("entity")) for line in lines)
        key = each, payer, day.year, self._in_force(day)
        if key not in self._known:
            config = self.config_on(day)
            self._known[key] = expected_amount(
                lines, payer, day, config.site, self._file.fees, self._file.source, config.fees, config.payers
            )
        return self._known[key]

    def _in_force(self, day: date | None) -> tuple[date, ...]:
        return tuple(each.begins for each in self._config.charging if day is not None and each.begins <= day)
