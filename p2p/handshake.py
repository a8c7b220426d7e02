"""What two connected peers tell each other first, and how peers pass on addresses.

``hello`` is the array (addresses, payload), ``peers`` the array of addresses, in the canonical encoding.
The payload belongs to the node above and is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain.base.codec import array, decode, encode
from chain.base.errors import Reason, Refused
from p2p.addresses import MAX_ADDRESS_BYTES, PeerAddress, read_address

MAX_PAYLOAD_BYTES = 64 * 1024
"""A status: ids, heights and a few proofs."""

MAX_SHARED = 16
"""Addresses in one message: a node needs a handful of peers to find the others."""

MAX_PEERS_BYTES = MAX_SHARED * (MAX_ADDRESS_BYTES + 3) + 16
MAX_HELLO_BYTES = MAX_PAYLOAD_BYTES + MAX_PEERS_BYTES + 16


def encode_hello(addresses: Iterable[str], payload: bytes) -> bytes:
    return encode((_pack(addresses), payload))


def decode_hello(data: bytes, peer_id: str) -> tuple[list[PeerAddress], bytes]:
    """The addresses that ``peer_id`` claims for itself, and the payload.  Raises :class:`Refused`."""
    addresses, payload = array(decode(data, max_bytes=MAX_HELLO_BYTES), 2, 2, "hello")
    if type(payload) is not bytes or len(payload) > MAX_PAYLOAD_BYTES:
        raise Refused(Reason.MALFORMED, "the payload of a hello is not bytes")
    return [address for address in _numeric(addresses) if address.peer_id == peer_id], payload


def encode_peers(addresses: Iterable[str]) -> bytes:
    return encode(_pack(addresses))


def decode_peers(data: bytes) -> list[PeerAddress]:
    """Addresses of others, those that we would dial.  Raises :class:`Refused`."""
    return _numeric(decode(data, max_bytes=MAX_PEERS_BYTES))


def _pack(addresses: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(address.encode() for address in addresses)[:MAX_SHARED]


def _numeric(value: object) -> list[PeerAddress]:
    # A name would make this machine's resolver ask whom a stranger wants asked.
    found = []
    for item in array(value, 0, MAX_SHARED, "addresses"):
        if type(item) is not bytes:
            raise Refused(Reason.MALFORMED, "an address is not bytes")
        address = read_address(item.decode(errors="replace"))
        if address is not None and address.is_numeric:
            found.append(address)
    return found
