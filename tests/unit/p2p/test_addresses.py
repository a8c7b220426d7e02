"""Which multiaddrs are dialled, and what they mean."""

from __future__ import annotations

import pytest

from chain.errors import OperatorError
from p2p.addresses import MAX_ADDRESS_BYTES, PeerAddress, parse_bootstrap, read_address
from tests.unit.p2p.net import peer_id_of

PEER = peer_id_of(1)


@pytest.mark.parametrize(
    ("host", "is_numeric"),
    [
        ("/ip4/192.0.2.7", True),
        ("/ip6/2001:db8::1", True),
        ("/dns/example.org", False),
        ("/dns4/example.org", False),
        ("/dns6/example.org", False),
    ],
)
def test_an_address_is_read_and_written_in_the_same_form(host: str, is_numeric: bool) -> None:
    text = f"{host}/tcp/4001/p2p/{PEER}"
    address = read_address(text)
    assert address is not None
    assert (str(address), str(address.multiaddr)) == (text, text)
    assert (address.port, address.peer_id, address.is_numeric) == (4001, PEER, is_numeric)


def test_an_address_has_one_form_however_it_was_written() -> None:
    assert str(read_address(f"/ip6/2001:0db8:0::1/tcp/4001/p2p/{PEER}")) == f"/ip6/2001:db8::1/tcp/4001/p2p/{PEER}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"/ip4/192.0.2.7/udp/4001/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/4001/ws/p2p/{PEER}",
        "/ip4/192.0.2.7/tcp/4001",
        f"/ip4/192.0.2.7/tcp/0/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/70000/p2p/{PEER}",
        f"/ip4/192.0.2.999/tcp/4001/p2p/{PEER}",
        "/ip4/192.0.2.7/tcp/4001/p2p/not-a-peer",
        f"/unix/tmp/tcp/4001/p2p/{PEER}",
        f"/dns4/{'x' * MAX_ADDRESS_BYTES}/tcp/4001/p2p/{PEER}",
    ],
)
def test_what_is_not_dialled_is_no_address(text: str) -> None:
    assert read_address(text) is None


def test_an_address_may_be_as_long_as_the_bound_and_no_longer() -> None:
    rest = f"/tcp/4001/p2p/{PEER}"
    name = ("x" * 60 + ".") * 4
    name = name[: MAX_ADDRESS_BYTES - len("/dns4/") - len(rest)].replace(".x", ".y")
    assert read_address(f"/dns4/{name}{rest}") is not None
    assert read_address(f"/dns4/{name}x{rest}") is None


def test_who_listens_on_every_interface_is_dialled_where_it_is_seen() -> None:
    everywhere = PeerAddress("ip4", "0.0.0.0", 4001, PEER)
    assert str(everywhere.seen_from("192.0.2.7")) == f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}"
    assert str(everywhere.seen_from("2001:db8::1")) == f"/ip6/2001:db8::1/tcp/4001/p2p/{PEER}"
    assert everywhere.seen_from("") == everywhere  # where is not known
    named = PeerAddress("ip4", "198.51.100.1", 4001, PEER)
    assert named.seen_from("192.0.2.7") == named


def test_a_configured_peer_is_an_address_or_the_operators_mistake() -> None:
    text = f"/dns4/example.org/tcp/4001/p2p/{PEER}"
    assert str(parse_bootstrap(text)) == text
    for wrong in ("example.org:4001", f"/ip4/0.0.0.0/tcp/4001/p2p/{PEER}", f"/ip6/::/tcp/4001/p2p/{PEER}"):
        with pytest.raises(OperatorError, match="one looks like /ip4/"):
            parse_bootstrap(wrong)
