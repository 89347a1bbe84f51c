"""Settings of what listens beside DICOM: the HL7 listener with whom it hears, and the console."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from workstation.certificates import check_named_together
from workstation.charge.facts import Text
from workstation.strict import STRICT

# What a sender of HL7 may say.
Heard = Literal["orders", "reports", "merges", "acknowledgements"]


@dataclass(frozen=True, slots=True)
class HL7Sender:
    """A system that HL7 messages are heard from.

    application, facility : its MSH-3 and MSH-4; any facility if empty. addresses : from where it calls, addresses or
    networks; any if empty. subject : of its client certificate, as RFC 4514 writes it; any if empty. may : what it may
    say. `acknowledgements` are answers to charges of ours that come on a way of their own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    application: Text
    may: Annotated[tuple[Heard, ...], Field(min_length=1)]
    facility: str = ""
    addresses: tuple[str, ...] = ()
    subject: str = ""

    def __post_init__(self) -> None:
        for address in self.addresses:
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                raise ValueError(
                    f"sender {self.application!r}: {address!r} is no address or network, as 10.0.0.0/24"
                ) from None

    def calls_from(self, address: str) -> bool:
        """Whether it may call from an address."""
        if not self.addresses:
            return True
        try:
            here = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(here in ipaddress.ip_network(each, strict=False) for each in self.addresses)


@dataclass(frozen=True, slots=True)
class Listener:
    """Where orders, reports and patient updates come in by HL7 v2 over MLLP.

    port : 0 lets the system choose. certificate, key : PEM files; with them the listener speaks TLS. client_authority :
    PEM file of who may have signed the client's certificate; with it a client needs one.
    senders : who is heard; without any the listener does not start. max_message_mb : the longest message, in megabytes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    port: int
    host: str = "0.0.0.0"
    certificate: str = ""
    key: str = ""
    client_authority: str = ""
    senders: tuple[HL7Sender, ...] = ()
    max_message_mb: Annotated[int, Field(ge=1, le=1024)] = 16
    processing_id: Literal["P", "T", "D"] = "P"

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ValueError(f"listener: port {self.port} is not one of 0 to 65535 (0 lets the system choose)")
        check_named_together("listener", self.certificate, self.key, self.client_authority)


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """The site's identity provider (OpenID Connect).

    name : as people call it. issuer : its address. client_id : of this console there. client_secret_file : holds the
    secret alone; none for a public client. claim : what of a person is their ID in the register.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: Text
    issuer: Text
    client_id: Text
    client_secret_file: str = ""
    claim: Text = "preferred_username"

    def __post_init__(self) -> None:
        if not self.issuer.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError(f"console: issuer {self.issuer!r} does not begin with https://")


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The pages for a browser.

    host, port : where they are served; 0 lets the system choose. certificate, key : PEM files; with them it speaks
    TLS. behind_proxy : addresses of proxies that speak TLS for it, and whose X-Forwarded-For is believed. address : as
    people and links call it, `https://host`; empty for host and port. idle_minutes, longest_hours : when somebody who
    is signed in has to sign in again. wrong_secrets, locked_minutes : after so many wrong secrets in a row nobody signs
    in or signs under that ID for so long. upload_mb : the largest document. per_minute : requests from one address.
    link_days : how long a link for a referring physician holds where nobody says how long. link_contact : whom their
    pages say to ask, with a telephone number; the institution if empty. oidc : the site's identity provider, by which
    people may sign in as well.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, lt=65536)] = 8443
    certificate: str = ""
    key: str = ""
    behind_proxy: tuple[str, ...] = ()
    address: str = ""
    idle_minutes: Annotated[int, Field(ge=1, le=480)] = 30
    longest_hours: Annotated[int, Field(ge=1, le=24)] = 12
    wrong_secrets: Annotated[int, Field(ge=3, le=20)] = 5
    locked_minutes: Annotated[int, Field(ge=1, le=1440)] = 15
    upload_mb: Annotated[int, Field(ge=1, le=500)] = 20
    per_minute: Annotated[int, Field(ge=30)] = 600
    oidc: OidcProvider | None = None
    link_days: Annotated[int, Field(ge=1, le=365)] = 14
    link_contact: str = ""

    def __post_init__(self) -> None:
        check_named_together("console", self.certificate, self.key)
        if self.address and not self.address.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError(f"console: address {self.address!r} does not begin with https://")
        if not self.speaks_tls and not self.behind_proxy and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(
                f"console: passwords would cross the network in the open from {self.host}; give certificate and key, "
                "or name in behind_proxy who speaks TLS for it"
            )

    @property
    def speaks_tls(self) -> bool:
        return bool(self.certificate)

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS, here or at a proxy."""
        return self.speaks_tls or bool(self.behind_proxy)
