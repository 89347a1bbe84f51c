"""Sign-in by the site's own identity provider, where the settings name one: OpenID Connect, code flow with PKCE.

The provider says who somebody is; what they may do stands in the register of people here, and whoever is not in it gets
nowhere. Signing takes a PIN or password of this register all the same. Source: OpenID Connect Core 1.0, 3.1; RFC 7636;
RFC 9700.
"""

import base64
import hashlib
import json
import secrets
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
from starlette.responses import RedirectResponse, Response

from workstation.audit.trail import late
from workstation.errors import WorkstationError
from workstation.listening import OidcProvider
from workstation.web.call import Call, get, own_path
from workstation.web.sign_in_pages import begin_session, keep_token

# What an identity token may be signed with: only pairs of keys, since the client's secret is no key.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_TIMEOUT_S, _MOST_BYTES, _LEEWAY_S = 10.0, 1 << 20, 30.0
_COOKIE = "console-oidc"
_AT_ONCE, _PATIENCE_S = 4, 1.0
_MINUTES = 10


class ProviderFailed(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """The identity provider cannot be reached, or says what cannot be believed."""


class Provider:
    """A provider as its discovery document says, read when it is first asked. Several threads may use one."""

    def __init__(self, settings: OidcProvider) -> None:
        self.settings, self.name = settings, settings.name
        self._lock = threading.Lock()
        # A provider that does not answer holds so many threads and no more: the others answer pages.
        self._asking = threading.BoundedSemaphore(_AT_ONCE)
        self._found: dict[str, Any] = {}
        self._keys: jwt.PyJWKClient | None = None

    def address(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """The address that a browser is sent to. Raises ProviderFailed."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with self._asked():
            return f"{self._discovered()['authorization_endpoint']}?{urllib.parse.urlencode(query)}"

    def identity(self, code: str, redirect: str, nonce: str, verifier: str) -> str:
        """Who somebody is who came back with a code. Raises ProviderFailed."""
        with self._asked():
            return self._identity(code, redirect, nonce, verifier)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """While the provider is asked. Raises ProviderFailed where many wait for it already."""
        if not self._asking.acquire(timeout=_PATIENCE_S):
            raise ProviderFailed(f"{self.name} is slow to answer; many wait for it. Try again in a minute.")
        try:
            yield
        finally:
            self._asking.release()

    def _identity(self, code: str, redirect: str, nonce: str, verifier: str) -> str:
        found = self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "client_id": self.settings.client_id,
            "code_verifier": verifier,
        }
        secret = self._secret()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if secret:
            pair = f"{urllib.parse.quote(self.settings.client_id)}:{urllib.parse.quote(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = _json(str(found["token_endpoint"]), urllib.parse.urlencode(form).encode(), headers)
        token = str(answer.get("id_token") or "")
        try:
            key = self._key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self.settings.client_id,
                issuer=str(found["issuer"]),
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "nonce"]},
            )
        except jwt.PyJWTError as error:
            raise ProviderFailed(f"{self.name}: what it says of the person is not believed ({error}).") from None
        if not secrets.compare_digest(str(claims["nonce"]), nonce):
            raise ProviderFailed(f"{self.name}: its answer is to another question. Sign in again.")
        identity = claims.get(self.settings.claim)
        if not isinstance(identity, str) or not identity:
            raise ProviderFailed(f"{self.name}: it does not say {self.settings.claim!r} of the person.")
        return identity

    def _key(self, token: str) -> jwt.PyJWK:
        """The key that a token names; where the provider has one alone, it need not be named. Source: OpenID Connect
        Core 1.0, 10.1."""
        assert self._keys is not None, "made with the discovery"
        if "kid" in jwt.get_unverified_header(token):
            return self._keys.get_signing_key_from_jwt(token)
        keys = self._keys.get_signing_keys()
        if len(keys) != 1:
            raise jwt.PyJWKClientError("the token does not say which key it is signed with")
        return keys[0]

    def _discovered(self) -> dict[str, Any]:
        with self._lock:
            if not self._found:
                issuer = self.settings.issuer.rstrip("/")
                found = _json(f"{issuer}/.well-known/openid-configuration")
                # Else one provider could speak for another. Source: OpenID Connect Discovery 1.0, 4.3.
                if str(found.get("issuer", "")).rstrip("/") != issuer:
                    raise ProviderFailed(f"{self.name}: it calls itself {found.get('issuer')!r}, not {issuer!r}.")
                missing = {"authorization_endpoint", "token_endpoint", "jwks_uri"} - set(found)
                if missing:
                    raise ProviderFailed(f"{self.name}: its discovery document lacks {', '.join(sorted(missing))}.")
                self._keys = jwt.PyJWKClient(str(found["jwks_uri"]), timeout=int(_TIMEOUT_S))
                self._found = found
            return self._found

    def _secret(self) -> str:
        if not self.settings.client_secret_file:
            return ""
        try:
            return Path(self.settings.client_secret_file).expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ProviderFailed(f"{self.name}: client_secret_file cannot be read ({error.strerror}).") from None


def _json(address: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(address, body, {"Accept": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_MOST_BYTES))
    except (OSError, ValueError) as error:
        # Without the address's query and the answer's body: both may hold secrets.
        raise ProviderFailed(f"The identity provider does not answer as it should ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise ProviderFailed("The identity provider does not answer as it should.")
    return found


def _redirect(call: Call) -> str:
    """Where the provider sends the browser back to: the console as people call it."""
    own = call.console.settings.address.rstrip("/")
    return f"{own or str(call.request.base_url).rstrip('/')}/oidc/end"


def _begin(call: Call) -> Response:
    provider = call.console.oidc
    if provider is None:
        raise WorkstationError(call.tr("This console knows no identity provider."))
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    wanted = call.query("wanted", "/")
    response = RedirectResponse(provider.address(_redirect(call), state, nonce, verifier), 303)
    kept = "~".join((state, nonce, verifier, urllib.parse.quote(wanted, safe="/")))
    secure = call.console.settings.secure
    # Lax: the browser comes back from another site.
    response.set_cookie(_COOKIE, kept, _MINUTES * 60, path="/oidc", secure=secure, httponly=True, samesite="lax")
    return response


def _end(call: Call) -> Response:
    provider, console = call.console.oidc, call.console
    state, nonce, verifier, wanted = [*call.request.cookies.get(_COOKIE, "").split("~"), "", "", "", ""][:4]
    if provider is None or not state or not secrets.compare_digest(state, call.query("state")):
        raise WorkstationError(call.tr("This sign-in was not begun in this browser, or too long ago. Begin again."))
    if call.query("error"):
        raise ProviderFailed(call.tr("{name} did not sign you in. Nobody was signed in.", name=provider.name))
    identity = provider.identity(call.query("code"), _redirect(call), nonce, verifier)
    person = next((each for each in call.site.people.all() if each.id == identity), None)
    if person is None or call.site.people.register.doubt(identity):
        with late():
            console.trail.authenticated(identity[:64], call.site.clock(), outcome="8", address=call.address)
        words = (
            "{name} knows you as {identity}; nobody of that ID is in the register here. An administrator can add you."
        )
        raise ProviderFailed(call.tr(words, name=provider.name, identity=identity))
    begin_session(call, person)
    response = RedirectResponse(own_path(urllib.parse.unquote(wanted)) or "/", 303)
    keep_token(call, response)
    response.delete_cookie(_COOKIE, path="/oidc")
    return response


ROUTES = (get("/oidc/begin", _begin), get("/oidc/end", _end))
