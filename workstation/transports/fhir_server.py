"""Charges to a FHIR server: each ChargeItem is PUT under its own id, so that doing it again changes nothing.

Source: HL7 FHIR R4B and R5, RESTful API, update.
"""

import http.client
import json
import ssl
from urllib.parse import urlsplit

from dicom_io.network.tls import client_context
from workstation.certificates import tls_to_call
from workstation.destinations import FhirDestination
from workstation.errors import DeliveryError
from workstation.peers.reach import token_of
from workstation.store.messages import Delivery, Message
from workstation.transports.transport import OwnSide

# The server is busy or hindered and may take it later. Source: RFC 9110 15.5 and 15.6, RFC 6585.
_LATER = {408, 409, 423, 425, 429, 500, 502, 503, 504}


# MIME type parameter fhirVersion. Source: HL7 FHIR, RESTful API, 3.1.0.1.
_NUMBERS = {"R4B": "4.3", "R5": "5.0"}


class FhirServerError(DeliveryError):
    """There is no answer from the server. Sending the same again is safe."""


class FhirServerTransport:
    """A request for each resource."""

    def __init__(self, destination: FhirDestination, here: OwnSide) -> None:
        self._destination, self._root = destination, here.root

    def deliver(self, message: Message) -> Delivery:
        """PUT a resource. 200 and 201 are done. What the server may take later is tried three times, what it will never
        take waits for an operator at once."""
        assert message.body is not None  # a resource has a body
        resource = json.loads(message.body)
        status, words = self._ask("PUT", f"{resource['resourceType']}/{resource['id']}", message.body)
        if status in (200, 201):
            return Delivery("acknowledged", words)
        return Delivery("refused" if status in _LATER else "rejected", words)

    def reach(self) -> str:
        """Ask for its capabilities."""
        status, words = self._ask("GET", "metadata", None)
        if status != 200:
            raise FhirServerError(f"{self._destination.url}/metadata: {words}; check the address and the token.")
        return words

    def close(self) -> None:
        """Nothing stays open between two resources."""

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, str]:
        to = self._destination
        secure = to.url.startswith("https:")
        tls = client_context(tls_to_call(to, self._root)) if secure else None
        place, token = f"{to.url.rstrip('/')}/{path}", token_of(to, self._root)
        return _ask(method, place, to.fhir_version, to.timeout_s, body, token, tls)


def _ask(
    method: str, url: str, version: str, timeout_s: float, body: bytes | None, token: str, tls: ssl.SSLContext | None
) -> tuple[int, str]:
    """The status of an answer, and its words."""
    where = urlsplit(url)
    assert where.hostname is not None  # checked in the settings
    kind = f"application/fhir+json; fhirVersion={_NUMBERS[version]}"
    headers = {"Accept": kind} if body is None else {"Accept": kind, "Content-Type": kind}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    place = f"{where.hostname} port {where.port or (443 if where.scheme == 'https' else 80)}"
    connection: http.client.HTTPConnection
    if where.scheme == "https":
        connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=timeout_s, context=tls)
    else:
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout_s)
    try:
        connection.request(method, where.path, body=body, headers=headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        raise FhirServerError(f"{place}: {error or type(error).__name__}; check that the server is running.") from None
    finally:
        connection.close()
    return response.status, f"HTTP {response.status} {response.reason}".rstrip()
