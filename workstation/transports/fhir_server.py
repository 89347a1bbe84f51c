"""Delivery to a FHIR server: each ChargeItem is PUT under its own id, so that doing it again changes nothing.

Source: HL7 FHIR R4B and R5, RESTful API, update.
"""

import http.client
import json
import ssl
from urllib.parse import urlsplit

from workstation.store.messages import Delivery, Message

# The server is busy or hindered and may take it later. Source: RFC 9110 15.5 and 15.6, RFC 6585.
_LATER = {408, 409, 423, 425, 429, 500, 502, 503, 504}


# MIME type parameter fhirVersion. Source: HL7 FHIR, RESTful API, 3.1.0.1.
_NUMBERS = {"R4B": "4.3", "R5": "5.0"}


class FhirServerError(OSError):
    """There is no answer from the server. Sending the same again is safe."""


def deliver(
    message: Message, url: str, version: str, timeout_s: float, token: str = "", tls: ssl.SSLContext | None = None
) -> Delivery:
    """PUT a resource of the outbox; use it in `Outbox.drain`.

    200 and 201 are done. What the server may take later is tried three times, what it will never take waits for an
    operator at once.

    Raises
    ------
    FhirServerError
        There is no connection, or no answer; the outbox then leaves this destination alone for the rest of the drain.
    """
    assert message.body is not None  # a resource has a body
    resource = json.loads(message.body)
    place = f"{url.rstrip('/')}/{resource['resourceType']}/{resource['id']}"
    status, words = _ask("PUT", place, version, timeout_s, message.body, token, tls)
    if status in (200, 201):
        return Delivery("acknowledged", words)
    return Delivery("refused" if status in _LATER else "rejected", words)


def reach(url: str, version: str, timeout_s: float, token: str = "", tls: ssl.SSLContext | None = None) -> str:
    """Ask a server for its capabilities; return what it answered. Nothing is sent.

    Raises
    ------
    FhirServerError
        There is no answer, or none that a FHIR server gives.
    """
    status, words = _ask("GET", f"{url.rstrip('/')}/metadata", version, timeout_s, None, token, tls)
    if status != 200:
        raise FhirServerError(f"{url}/metadata: {words}; check the address and the token.")
    return words


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
