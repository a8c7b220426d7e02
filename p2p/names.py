"""Names in the addresses that the operator gave: what they stand for now, by this machine's hosts file and resolver.

Only the operator's own peers have names.  Those that strangers tell are never looked up: see :mod:`p2p.handshake`.
Source of ``/dnsaddr``: https://github.com/multiformats/multiaddr/blob/master/protocols/DNSADDR.md
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import replace
from functools import partial
from socket import getaddrinfo

import dns.asyncresolver
import trio
from dns.exception import DNSException
from trio.lowlevel import RunVar

from p2p.addresses import DNSADDR, PeerAddress, plain_host, read_address

MAX_FOUND = 8
"""Addresses that one name stands for; the first ones."""

MAX_DEPTH = 3
"""A ``/dnsaddr`` may name others; a chain of them is short, or goes in a circle."""

LOOKUP_TIMEOUT_S = 5.0
"""A resolver that knows answers within milliseconds, and one that has to ask within a second or two."""

MAX_LOOKUPS = 16
"""At once: twice as many as there are dials.  Where no server answers, the system's resolver takes half a minute."""

_lookups: RunVar[trio.CapacityLimiter] = RunVar("lookups")
_FAMILIES = {"dns4": socket.AF_INET, "dns6": socket.AF_INET6}
_KINDS = {"dns4": "IPv4 ", "dns6": "IPv6 "}


class Unresolved(Exception):
    """A name stands for nothing that can be dialled; says why."""


async def resolve(address: PeerAddress) -> list[PeerAddress]:
    """The numeric addresses that ``address`` stands for, itself if it is one.  Raises :class:`Unresolved`."""
    found: list[PeerAddress] = []
    with trio.move_on_after(LOOKUP_TIMEOUT_S) as scope:
        found = await _look_up(address, MAX_DEPTH)
    if not found:
        why = f"no answer within {LOOKUP_TIMEOUT_S:.0f} s" if scope.cancelled_caught else "it names no such address"
        raise Unresolved(_unresolved(address, why))
    return list(dict.fromkeys(found))[:MAX_FOUND]


async def _look_up(address: PeerAddress, depth: int) -> list[PeerAddress]:
    if address.is_numeric or not depth:
        return [address] if address.is_numeric else []
    if address.protocol != DNSADDR:
        return [address.at(host) for host in await _hosts(address)]
    found: list[PeerAddress] = []
    for told in await _told(address):
        with suppress(Unresolved):  # others of the same name may be fine
            found += await _look_up(told, depth - 1)
    return found


async def _told(address: PeerAddress) -> list[PeerAddress]:
    """What the TXT records of a name say of the peer."""
    try:
        texts = await _texts(f"_dnsaddr.{address.host}")
    except DNSException as error:
        if address.port:  # then it names a host as well; so does a hosts file, which has no TXT records
            return [replace(address, protocol="dns")]
        raise Unresolved(_unresolved(address, f"there is no TXT record of _dnsaddr.{address.host}")) from error
    told = [read_address(text.removeprefix("dnsaddr=")) for text in texts if text.startswith("dnsaddr=")]
    return [each for each in told if each is not None and each.peer_id == address.peer_id][:MAX_FOUND]


async def _hosts(address: PeerAddress) -> list[str]:
    family = _FAMILIES.get(address.protocol, socket.AF_UNSPEC)
    try:
        ask = partial(getaddrinfo, address.host, address.port, family, socket.SOCK_STREAM)
        answers = await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=_threads())  # type: ignore[call-arg]
    except (OSError, UnicodeError) as error:
        why = str(getattr(error, "strerror", None) or "it is not a name")
        raise Unresolved(_unresolved(address, why)) from error
    return [plain_host(str(answer[4][0])) for answer in answers]


def _threads() -> trio.CapacityLimiter:
    """Those of this run that ask the system's resolver: one that is given up ends when it does, and what is to be
    stored must not wait for that.
    """
    try:
        return _lookups.get()
    except LookupError:
        _lookups.set(trio.CapacityLimiter(MAX_LOOKUPS))
        return _lookups.get()


async def _texts(name: str) -> list[str]:
    """The TXT records of a name.  Raises ``DNSException``."""
    answer = await dns.asyncresolver.Resolver().resolve(name, "TXT", lifetime=LOOKUP_TIMEOUT_S)
    return [b"".join(record.strings).decode(errors="replace") for record in answer]


def _unresolved(address: PeerAddress, why: str) -> str:
    kind = _KINDS.get(address.protocol, "")
    return f"its name {address.host} cannot be resolved to an {kind}address ({why})"
