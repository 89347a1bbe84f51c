"""Answers a peer's association request: accepts or rejects it by the rules of the site.

Source: PS3.8 Section 9 and Annex D. The PDUs are read and written by pynetdicom.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import negotiate_as_acceptor

from dicom_io.network.upper_layer import (
    ABORT,
    APPLICATION_CONTEXT,
    MAXIMUM_PDU,
    RJ,
    RQ,
    Broken,
    Connection,
    Context,
    Ended,
    Waits,
    about_us,
)


class Rejection(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """An association request is rejected: result, source and reason (PS3.8 Table 9-21), and the reason in words."""

    def __init__(self, result: int, source: int, reason: int, words: str) -> None:
        super().__init__(words)
        self.pdu = pack(">BxLxBBB", RJ, 4, result, source, reason)


@dataclass(frozen=True, slots=True)
class Caller:
    """A peer that may call us: its AE title, and the networks from which it may call."""

    ae_title: str
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """Which peers may open an association, and how much they may send and how long they may take.

    called : the AE title that a peer has to call; any if empty. callers : the peers that may call; None for any.
    max_associations : the most at once. max_of_one : the most at once from one address. max_pdu : the longest PDU that
    we take, in bytes. max_instance_bytes : the longest data set. min_free_bytes : stays free on the disk.
    request_s : longest wait from the connection to the association request. idle_s : between two messages. stall_s :
    for the rest of a PDU that has begun, and for the peer to take one that we send.
    """

    called: str = ""
    callers: tuple[Caller, ...] | None = None
    max_associations: int = 32
    max_of_one: int = 24
    max_pdu: int = MAXIMUM_PDU
    max_instance_bytes: int = 8 << 30
    min_free_bytes: int = 512 << 20
    request_s: float = 30.0
    idle_s: float = 600.0
    stall_s: float = 60.0

    @property
    def waits(self) -> Waits:
        return Waits(self.request_s, self.idle_s, self.stall_s)

    def admit(self, request: A_ASSOCIATE, address: str) -> None:
        """Checks called and calling AE title and address. Raises Rejection."""
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        if self.called and called != self.called:
            raise Rejection(1, 1, 7, f"called AE title {called!r} is not ours")
        if self.callers is None:
            return
        known = [c for c in self.callers if c.ae_title.strip() == calling]
        if not known:
            raise Rejection(1, 1, 3, f"calling AE title {calling!r} is no peer of ours")
        where = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(where, ipaddress.IPv6Address) and where.ipv4_mapped:
            where = where.ipv4_mapped
        if not any(where in network for caller in known for network in caller.networks):
            raise Rejection(1, 1, 3, f"{calling!r} does not call from an address of that peer")


def accept(
    connection: Connection, supported: Sequence[Any], rules: Rules, address: str, *, full: Callable[[], str]
) -> None:
    """Reads the association request of a peer and answers it. Raises Rejection, Broken, Ended.

    supported : pynetdicom contexts. full : called when it would be accepted; why there is no room for it,
    empty where there is.
    """
    kind, data = connection.opening("sent no association request")
    if kind == ABORT:
        raise Ended("aborted before it asked for an association")
    if kind != RQ:
        raise Broken(f"sent PDU type 0x{kind:02X} for an association request", 2)
    try:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(data)
        request = pdu.to_primitive()
        connection.calling = str(request.calling_ae_title).strip()
        version = int(pdu.protocol_version)
        name = str(request.application_context_name)
    except Exception as error:  # pynetdicom raises many kinds for malformed bytes
        raise Broken(f"sent an association request that cannot be read ({type(error).__name__})", 6) from error
    if not version & 1:
        raise Rejection(1, 2, 2, f"protocol version {version} is unknown")
    if name != APPLICATION_CONTEXT:
        raise Rejection(1, 1, 2, f"application context {name[:64]!r} is unknown")
    rules.admit(request, address)
    if why := full():
        raise Rejection(2, 3, 2, f"no room for the association: {why}")
    connection.send(_accepted(connection, request, supported))


def _accepted(connection: Connection, request: A_ASSOCIATE, supported: Sequence[Any]) -> bytes:
    items = request.user_information
    roles = {
        i.sop_class_uid: (i.scu_role, i.scp_role) for i in items if isinstance(i, SCP_SCU_RoleSelectionNegotiation)
    }
    results, reply_roles = negotiate_as_acceptor(request.presentation_context_definition_list, list(supported), roles)
    connection.agree(
        {
            int(c.context_id): Context(str(c.abstract_syntax), str(c.transfer_syntax[0]))
            for c in results
            if not c.result
        },
        items,
    )
    answer = A_ASSOCIATE()
    answer.application_context_name = request.application_context_name
    answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
    answer.result, answer.result_source = 0x00, 0x01
    answer.presentation_context_definition_results_list = results
    answer.user_information = [*about_us(connection.max_pdu), *reply_roles]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return bytes(pdu.encode())
