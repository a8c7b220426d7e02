"""Who may ask the HTTP API: this host by its own names, no page of another site, and from elsewhere not everything.

A page of another site can make a browser ask, but neither forge where it comes from nor, with a name that it lets point
here, the host that it asks (DNS rebinding); so both are looked at before anything is answered.
Sources: RFC 9110, sections 7.2 and 15.5.20; the Fetch standard, "CORS protocol"; W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from hmac import compare_digest

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2p.limits import Buckets
from p2p.local.problems import Problem

LOCALHOST = "localhost"

COSTLY_PER_S = 1.0
COSTLY_AT_ONCE = 32
"""A page that opens asks for a few at once; a program that asks for more asks its own node's home."""

FROM_ELSEWHERE_PER_S = 50.0
FROM_ELSEWHERE_AT_ONCE = 500
"""Of one host that is not this one, or of one /64: a page that is looked at closely asks a few times a second."""

_METHODS = "GET, POST, DELETE"
_REQUEST_HEADERS = "authorization, content-type, if-none-match, last-event-id"
_SHOWN_HEADERS = "etag, retry-after"
# What a proxy on this machine says of those whom it speaks for.
_FORWARDED = ("forwarded", "x-forwarded-for")
_SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class Door:
    """Lets a request in, or answers why not; ``hosts`` and ``origins`` are known beside loopback and the own one."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = ()) -> None:
        self._app = app
        self._hosts = {LOCALHOST, *hosts}
        self._origins = origins
        self._rates = Buckets(FROM_ELSEWHERE_PER_S, FROM_ELSEWHERE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin")
        shared = self._shared(scope, origin)
        try:
            self._check(scope, origin)
        except Problem as problem:
            await problem.response()(scope, receive, _adding(shared, send))
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            await Response(status_code=204)(scope, receive, _adding(shared, send))
            return
        await self._app(scope, receive, _adding(shared, send))

    def _check(self, scope: Scope, origin: str | None) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host_of(host) not in self._hosts and not _is_loopback(host_of(host).strip("[]")):
            raise Problem(421, "this node answers to loopback names, and to those of http_hosts in its config.toml")
        if origin is not None and not self._is_known(scope, origin, host):
            raise Problem(403, "pages of other sites may ask nothing; http_origins in config.toml names those that may")
        site = headers.get("sec-fetch-site", "none")
        if site in ("cross-site", "same-site") and not self._is_named(origin) and not _is_visit(scope, headers):
            raise Problem(403, "a page of another site asks")
        if is_elsewhere(scope, headers) and not self._rates.take(_party(scope)):
            raise Problem(429, "too many requests", retry_s=1)

    def _is_known(self, scope: Scope, origin: str, host: str) -> bool:
        return self._is_named(origin) or origin == f"{scope.get('scheme', 'http')}://{host}"

    def _is_named(self, origin: str | None) -> bool:
        """Whether the configuration names an origin, or any port of its host."""
        if origin is None:
            return False
        host, _, port = origin.rpartition(":")
        return origin in self._origins or (port.isdigit() and f"{host}:*" in self._origins)

    def _shared(self, scope: Scope, origin: str | None) -> dict[str, str]:
        """What every answer says."""
        if origin is None or not self._is_named(origin):
            return {**_SAFE, "cross-origin-resource-policy": "same-origin", "vary": "origin"}
        return {
            **_SAFE,
            "cross-origin-resource-policy": "cross-origin",
            "vary": "origin",
            "access-control-allow-origin": origin,
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": _REQUEST_HEADERS,
            "access-control-expose-headers": _SHOWN_HEADERS,
        }


class Porter:
    """Lets those write and ask for what is costly who may: from elsewhere with the ``token``, and not too often."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._rates = Buckets(COSTLY_PER_S, COSTLY_AT_ONCE)

    def admit(self, request: Request) -> None:
        """Raises :class:`Problem` for who may not write or ask for what is costly."""
        if not is_elsewhere(request.scope, request.headers):
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = kind.lower() == "bearer" and compare_digest(given.strip().encode(), self._token.encode())
        if not (self._token and is_right):
            raise Problem(401, "from another machine this needs the token that is http_token in the node's config.toml")

    def meter(self, request: Request) -> None:
        """Raises :class:`Problem` for who asks too often for what is costly."""
        self.admit(request)
        if not self._rates.take(_party(request.scope)):
            raise Problem(429, "this is costly, and was asked for often; ask again", retry_s=1)


def host_of(authority: str) -> str:
    """The host of ``host:port``, in small letters."""
    host, colon, port = authority.rpartition(":")
    return (host if colon and port.isdigit() else authority).lower()


def is_elsewhere(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether a request does not come from this machine, or by a proxy that says so."""
    if any(name in headers for name in _FORWARDED):
        return True
    return not _is_loopback(_host_of_caller(scope))


def _is_loopback(address: str) -> bool:
    """Whether it is an address of this machine; a name is none, whatever it stands for."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _host_of_caller(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "127.0.0.1"  # in memory, as tests do


def _party(scope: Scope) -> str:
    """Who asks, under whichever of its addresses."""
    from p2p.addresses import tenant  # noqa: PLC0415 – a node has libp2p, others who have a door do not wait for it

    return tenant(_host_of_caller(scope))


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to the page itself."""
    is_shown = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return is_shown and scope["method"] == "GET"


def _adding(shared: Mapping[str, str], send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in shared.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
