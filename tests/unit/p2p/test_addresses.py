"""Which multiaddrs are dialled, and what they mean."""

from __future__ import annotations

import pytest

from chain.base.errors import OperatorError
from p2p.addresses import (
    MAX_ADDRESS_BYTES,
    PeerAddress,
    Reach,
    is_believable,
    neighbourhood,
    parse_bootstrap,
    parse_external,
    plain_host,
    reach_of,
    read_address,
    tenant,
)
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


def test_a_name_of_whole_addresses_needs_no_port_and_every_other_does() -> None:
    for text in (f"/dnsaddr/example.org/p2p/{PEER}", f"/dnsaddr/example.org/tcp/4001/p2p/{PEER}"):
        assert str(read_address(text)) == text
    for text in (
        f"/ip4/192.0.2.7/p2p/{PEER}",
        f"/dns4/example.org/p2p/{PEER}",
        f"/dnsaddr/example.org/tcp/0/p2p/{PEER}",
    ):
        assert read_address(text) is None


@pytest.mark.parametrize(
    ("host", "reach"),
    [
        ("127.0.0.1", Reach.MACHINE),
        ("127.255.0.9", Reach.MACHINE),
        ("::1", Reach.MACHINE),
        ("10.0.0.1", Reach.SITE),
        ("172.31.255.255", Reach.SITE),
        ("192.168.1.1", Reach.SITE),
        ("169.254.1.1", Reach.SITE),
        ("100.64.0.1", Reach.SITE),
        ("fd00::1", Reach.SITE),
        ("fe80::1", Reach.SITE),
        ("172.32.0.1", Reach.WORLD),
        ("198.51.100.1", Reach.WORLD),
        ("2001:db8::1", Reach.WORLD),
        ("0.0.0.0", Reach.NOWHERE),
        ("0.1.2.3", Reach.NOWHERE),
        ("::", Reach.NOWHERE),
        ("224.0.0.1", Reach.NOWHERE),
        ("ff02::1", Reach.NOWHERE),
        ("255.255.255.255", Reach.NOWHERE),
        ("::ffff:127.0.0.1", Reach.NOWHERE),
        ("64:ff9b::7f00:1", Reach.NOWHERE),
        ("2002:7f00:1::1", Reach.NOWHERE),
        ("2001:0:7f00:1::1", Reach.NOWHERE),
        ("", Reach.NOWHERE),
        ("example.org", Reach.NOWHERE),
    ],
)
def test_a_host_reaches_so_far(host: str, reach: Reach) -> None:
    assert reach_of(host) is reach


def test_nobody_speaks_of_what_is_nearer_to_us_than_it_is() -> None:
    here, near, far, nowhere = "127.0.0.1", "192.168.0.7", "198.51.100.7", "0.0.0.0"
    believed = {(teller, host) for teller in (here, near, far, "") for host in (here, near, far, nowhere)
                if is_believable(host, teller)}  # fmt: skip
    assert believed == {(here, here), (here, near), (here, far), (near, near), (near, far), (far, far), ("", far)}


def test_neighbours_share_what_one_owner_can_fill_and_a_site_is_none() -> None:
    assert neighbourhood("198.51.100.7") == neighbourhood("198.51.100.200") != neighbourhood("198.51.101.7")
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1") != neighbourhood("2001:db8:0:1::1")
    assert {neighbourhood(host) for host in ("127.0.0.1", "::1", "10.0.0.1", "fd00::1", "")} == {""}
    assert tenant("198.51.100.7") == "198.51.100.7"
    assert tenant("2001:db8::1") == tenant("2001:db8::2")
    assert (tenant("::1"), tenant("")) == ("::1", "")


def test_a_host_is_spelled_as_in_addresses() -> None:
    plain = {"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "fe80::1%eth0": "fe80::1", "::1": "::1"}
    assert {host: plain_host(host) for host in plain} == plain


def test_an_external_address_is_a_number_that_others_reach() -> None:
    assert str(parse_external("/ip4/203.0.113.7/tcp/4001", PEER)) == f"/ip4/203.0.113.7/tcp/4001/p2p/{PEER}"
    assert str(parse_external("/ip6/2001:db8::7/tcp/4001/", PEER)) == f"/ip6/2001:db8::7/tcp/4001/p2p/{PEER}"
    for wrong in (
        "203.0.113.7:4001",
        "/dns4/example.org/tcp/4001",
        "/ip4/0.0.0.0/tcp/4001",
        f"/ip4/1.2.3.4/p2p/{PEER}",
    ):
        with pytest.raises(OperatorError, match="it looks like /ip4/"):
            parse_external(wrong, PEER)


def test_a_configured_peer_is_an_address_or_the_operators_mistake() -> None:
    text = f"/dns4/example.org/tcp/4001/p2p/{PEER}"
    assert str(parse_bootstrap(text)) == text
    for wrong in ("example.org:4001", "/ip4/127.0.0.1/tcp/4001"):
        with pytest.raises(OperatorError, match="one looks like /ip4/"):
            parse_bootstrap(wrong)


def test_what_a_node_prints_that_listens_everywhere_is_not_where_it_is() -> None:
    for host in ("ip4/0.0.0.0", "ip6/::"):
        with pytest.raises(OperatorError, match="write its machine's address for "):
            parse_bootstrap(f"/{host}/tcp/4001/p2p/{PEER}")
