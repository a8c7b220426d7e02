"""Multiaddrs of peers: which are accepted, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from libp2p.peer.id import ID
from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from chain.errors import OperatorError

MAX_ADDRESS_BYTES = 256
"""The longest host name, a port and a peer id."""

_HOST_PROTOCOLS = frozenset({"ip4", "ip6", "dns", "dns4", "dns6"})
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True)
class PeerAddress:
    """``/<host protocol>/<host>/tcp/<port>/p2p/<peer id>``."""

    protocol: str
    host: str
    port: int
    peer_id: str

    def __str__(self) -> str:
        return f"{self.where}/p2p/{self.peer_id}"

    @property
    def where(self) -> str:
        """Without the peer's id."""
        return f"/{self.protocol}/{self.host}/tcp/{self.port}"

    @property
    def is_numeric(self) -> bool:
        return self.protocol in {"ip4", "ip6"}

    @property
    def multiaddr(self) -> Multiaddr:
        return Multiaddr(str(self))

    def seen_from(self, remote_host: str) -> PeerAddress:
        """With the host under which we see the peer, if it listens on every interface and names none."""
        if self.host not in _UNSPECIFIED or not remote_host:
            return self
        return PeerAddress("ip6" if ":" in remote_host else "ip4", remote_host, self.port, self.peer_id)


def read_address(text: str) -> PeerAddress | None:
    """The address that ``text`` is in canonical form, or None if it is not one that we dial."""
    if len(text) > MAX_ADDRESS_BYTES:
        return None
    try:
        address = Multiaddr(text)
        names = [protocol.name for protocol in address.protocols()]
        if len(names) != 3 or names[0] not in _HOST_PROTOCOLS or names[1:] != ["tcp", "p2p"]:
            return None
        host = str(address.value_for_protocol(names[0]))
        port = int(address.value_for_protocol("tcp"))
        peer_id = str(ID.from_base58(str(address.value_for_protocol("p2p"))))
    except (MultiaddrError, ValueError, LookupError):
        return None
    return PeerAddress(names[0], host, port, peer_id) if port else None


def parse_bootstrap(text: str) -> PeerAddress:
    """A peer to begin with, as configured.  Raises :class:`OperatorError`."""
    address = read_address(text)
    if address is None or address.host in _UNSPECIFIED:
        raise OperatorError(
            f"{text!r} is not the address of a peer; one looks like /ip4/192.0.2.7/tcp/9000/p2p/12D3Koo…"
        )
    return address
