"""Multiaddrs of peers: which are accepted, what they mean, and how far they reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from libp2p.peer.id import ID
from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from chain.base.errors import OperatorError

MAX_ADDRESS_BYTES = 256
"""The longest host name, a port and a peer id."""

DNSADDR = "dnsaddr"
"""A name whose TXT records are whole addresses, so that it needs no port of its own."""

_NUMERIC = frozenset({"ip4", "ip6"})
_NAMED = frozenset({"dns", "dns4", "dns6", DNSADDR})
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})
# RFC 1918, 3927, 4193, 4291 and 6598.  What documents use (RFC 5737) leads nowhere, which does no harm.
_SITE = [
    *map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")),
    *map(ip_network, ("fc00::/7", "fe80::/10")),
]
# IPv4 inside IPv6, with what is reserved: tunnels lead to ranges that are refused under their own name.
_DISGUISED = [IPv6Network(text) for text in ("2002::/16", "2001::/32", "::ffff:0:0/96")]


class Reach(IntEnum):
    """From where a host can be meant: a wider one means the same host also from further away."""

    MACHINE = 0
    SITE = 1
    WORLD = 2
    NOWHERE = 3


@dataclass(frozen=True)
class PeerAddress:
    """``/<host protocol>/<host>/tcp/<port>/p2p/<peer id>``; a ``dnsaddr`` may have no port, which is 0 then."""

    protocol: str
    host: str
    port: int
    peer_id: str

    def __str__(self) -> str:
        return f"{self.where}/p2p/{self.peer_id}"

    @property
    def where(self) -> str:
        """Without the peer's id."""
        return f"/{self.protocol}/{self.host}" + (f"/tcp/{self.port}" if self.port else "")

    @property
    def is_numeric(self) -> bool:
        return self.protocol in _NUMERIC

    @property
    def multiaddr(self) -> Multiaddr:
        return Multiaddr(str(self))

    def at(self, host: str) -> PeerAddress:
        """The same peer and port at a numeric host."""
        return replace(self, protocol=version_of(host), host=host)

    def seen_from(self, remote_host: str) -> PeerAddress:
        """With the host under which we see the peer, if it listens on every interface and names none."""
        return self if self.host not in _UNSPECIFIED or not remote_host else self.at(remote_host)


def version_of(host: str) -> str:
    """The protocol under which a numeric host stands in a multiaddr."""
    return "ip6" if ":" in host else "ip4"


def read_address(text: str) -> PeerAddress | None:
    """The address that ``text`` is in canonical form, or None if it is not one that we dial."""
    if len(text) > MAX_ADDRESS_BYTES:
        return None
    try:
        address = Multiaddr(text)
        first, *rest = [protocol.name for protocol in address.protocols()]
        if first not in _NUMERIC | _NAMED or rest not in (["tcp", "p2p"], ["p2p"]):
            return None
        host = str(address.value_for_protocol(first))
        port = int(address.value_for_protocol("tcp")) if "tcp" in rest else 0
        peer_id = str(ID.from_base58(str(address.value_for_protocol("p2p"))))
    except (MultiaddrError, ValueError, LookupError):
        return None
    return PeerAddress(first, host, port, peer_id) if port or (first == DNSADDR and "tcp" not in rest) else None


def parse_bootstrap(text: str) -> PeerAddress:
    """A peer to begin with, as configured.  Raises :class:`OperatorError`."""
    address = read_address(text)
    if address is None:
        raise OperatorError(
            f"{text!r} is not the address of a peer; one looks like /ip4/192.0.2.7/tcp/9000/p2p/12D3Koo…"
        )
    if address.host in _UNSPECIFIED:
        raise OperatorError(
            f"{text!r} tells where a node listens, not where it is; write its machine's address for {address.host}"
        )
    return address


def parse_external(text: str, peer_id: str) -> PeerAddress:
    """Where others reach ``peer_id``, as configured.  Raises :class:`OperatorError`."""
    address = read_address(f"{text.rstrip('/')}/p2p/{peer_id}")
    if address is None or not address.is_numeric or reach_of(address.host) is Reach.NOWHERE:
        raise OperatorError(
            f"external_address {text!r} is not where others reach this node; it looks like /ip4/203.0.113.7/tcp/4001, "
            "a number and no name, since nobody looks up the names that strangers give"
        )
    return address


def plain_host(host: str) -> str:
    """A numeric host as addresses spell it: without a zone, and IPv4 as such where IPv6 wraps it."""
    host = host.partition("%")[0]
    mapped = IPv6Address(host).ipv4_mapped if ":" in host else None
    return host if mapped is None else str(mapped)


@lru_cache(maxsize=1024)
def reach_of(host: str) -> Reach:
    """How far a numeric host reaches; nowhere is what no single other machine can have, or is not numeric."""
    try:
        address = ip_address(host)
    except ValueError:
        return Reach.NOWHERE
    if _is_disguised(address):  # first: newer Pythons look through a mapped address, older ones do not
        return Reach.NOWHERE
    if address.is_loopback:
        return Reach.MACHINE
    if any(address in network for network in _SITE):
        return Reach.SITE
    is_nobody = address.is_multicast or address.is_reserved or address.is_unspecified
    return Reach.NOWHERE if is_nobody or host.startswith("0.") else Reach.WORLD


def _is_disguised(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and any(address in network for network in _DISGUISED)


def is_believable(host: str, teller: str) -> bool:
    """Whether a peer that we see at ``teller`` means what we would by ``host``: nobody speaks of nearer than it is."""
    return reach_of(host) is not Reach.NOWHERE and reach_of(host) >= min(reach_of(teller), Reach.WORLD)


@lru_cache(maxsize=4096)
def neighbourhood(host: str) -> str:
    """The /24 or /64 of a host, which one tenant can fill; empty on this machine and site, where it says nothing."""
    if reach_of(host) is not Reach.WORLD:
        return ""
    return str(ip_network((host, 64 if ":" in host else 24), strict=False))


def origin(host: str) -> str:
    """What all names of one party share: the neighbourhood, and the host itself where that says nothing."""
    return neighbourhood(host) or host


def tenant(host: str) -> str:
    """What surely has one owner: an address of IPv4, or a /64, in which one has as many as one likes."""
    return neighbourhood(host) or host if ":" in host else host
