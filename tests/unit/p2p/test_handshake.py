"""What peers tell each other first."""

from __future__ import annotations

import pytest

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from p2p.addresses import MAX_ADDRESS_BYTES
from p2p.handshake import (
    MAX_HELLO_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_PEERS_BYTES,
    MAX_SHARED,
    decode_hello,
    decode_peers,
    encode_hello,
    encode_peers,
)
from tests.unit.p2p.net import peer_id_of

ME, OTHER = peer_id_of(1), peer_id_of(2)


def at(number: int, peer_id: str = ME) -> str:
    return f"/ip4/192.0.2.{number}/tcp/4001/p2p/{peer_id}"


def test_a_hello_brings_its_payload_and_the_addresses_of_its_sender_alone() -> None:
    addresses, payload = decode_hello(encode_hello([at(1), at(2, OTHER), "nonsense", at(3)], b"a status"), ME)
    assert [str(address) for address in addresses] == [at(1), at(3)]
    assert payload == b"a status"


def test_no_more_addresses_travel_than_a_node_needs() -> None:
    many = [at(number) for number in range(MAX_SHARED + 5)]
    assert len(decode_hello(encode_hello(many, b""), ME)[0]) == MAX_SHARED
    assert len(decode_peers(encode_peers(many))) == MAX_SHARED


def test_names_of_others_are_not_passed_on_to_the_resolver() -> None:
    named = [f"/{kind}/example.org/tcp/4001/p2p/{ME}" for kind in ("dns", "dns4", "dns6", "dnsaddr")]
    assert decode_hello(encode_hello([*named, at(1)], b""), ME)[0] == decode_hello(encode_hello([at(1)], b""), ME)[0]
    peers = decode_peers(encode_peers([at(1, OTHER), f"/dns4/example.org/tcp/4001/p2p/{OTHER}"]))
    assert [str(address) for address in peers] == [at(1, OTHER)]


def test_the_largest_hello_and_list_of_peers_fit_their_bounds() -> None:
    rest = f"/tcp/4001/p2p/{ME}"
    longest = "/dns4/" + "x" * (MAX_ADDRESS_BYTES - len("/dns4/") - len(rest)) + rest
    assert len(encode_hello([longest] * MAX_SHARED, bytes(MAX_PAYLOAD_BYTES))) <= MAX_HELLO_BYTES
    assert len(encode_peers([longest] * MAX_SHARED)) <= MAX_PEERS_BYTES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        encode(()),
        encode(((), b"", b"")),
        encode((b"", b"")),
        encode(((1,), b"")),
        encode(((), 1)),
        encode(((b"",) * (MAX_SHARED + 1), b"")),
        encode(((), bytes(MAX_PAYLOAD_BYTES + 1))),
    ],
    ids=["empty", "garbage", "no-fields", "three-fields", "no-list", "no-bytes", "no-payload", "too-many", "too-large"],
)
def test_a_hello_of_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        decode_hello(data, ME)
    assert caught.value.reason is Reason.MALFORMED


def test_what_is_larger_than_its_bound_is_not_even_read() -> None:
    for decode, size in ((decode_peers, MAX_PEERS_BYTES), (lambda data: decode_hello(data, ME), MAX_HELLO_BYTES)):
        with pytest.raises(Refused) as caught:
            decode(bytes(size + 1))
        assert caught.value.reason is Reason.TOO_LARGE
