"""What the names in the operator's own addresses stand for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dns.resolver
import pytest
import trio

from p2p import names
from p2p.addresses import PeerAddress, read_address
from p2p.names import MAX_FOUND, Unresolved, resolve
from tests.unit.p2p.net import PATIENCE_S, peer_id_of

PEER, OTHER = peer_id_of(1), peer_id_of(2)
Zone = Callable[[dict[str, list[str]]], None]


def at(text: str, peer_id: str = PEER) -> PeerAddress:
    address = read_address(f"{text}/p2p/{peer_id}")
    assert address is not None
    return address


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Zone:
    """The TXT records of the world."""

    def fill(records: dict[str, list[str]]) -> None:
        async def texts(name: str) -> list[str]:
            if name not in records:
                raise dns.resolver.NXDOMAIN
            return records[name]

        monkeypatch.setattr(names, "_texts", texts)

    return fill


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows ``both`` and ``many``, as from a hosts file."""
    known = {
        "both": [(socket.AF_INET, "192.0.2.7"), (socket.AF_INET6, "2001:db8::7")],
        "many": [(socket.AF_INET, f"192.0.2.{number}") for number in range(100)],
    }

    def getaddrinfo(host: str, port: int, family: int, kind: int) -> list[Any]:
        assert kind == socket.SOCK_STREAM
        found = [(each, kind, 0, "", (text, port)) for each, text in known.get(host, []) if family in (0, each)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    monkeypatch.setattr(names, "getaddrinfo", getaddrinfo)


async def test_a_number_stands_for_itself() -> None:
    assert await resolve(at("/ip6/2001:db8::1/tcp/1")) == [at("/ip6/2001:db8::1/tcp/1")]


async def test_the_resolver_of_this_machine_is_asked_with_its_hosts_file() -> None:
    assert at("/ip4/127.0.0.1/tcp/9") in await resolve(at("/dns4/localhost/tcp/9"))


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("dns", ["/ip4/192.0.2.7", "/ip6/2001:db8::7"]),
        ("dns4", ["/ip4/192.0.2.7"]),
        ("dns6", ["/ip6/2001:db8::7"]),
    ],
)
async def test_a_name_stands_for_hosts_of_its_kind(kind: str, found: list[str]) -> None:
    assert await resolve(at(f"/{kind}/both/tcp/9")) == [at(f"{host}/tcp/9") for host in found]


@pytest.mark.usefixtures("hosts")
async def test_a_name_stands_for_so_many_hosts_and_no_more() -> None:
    assert len(await resolve(at("/dns/many/tcp/9"))) == MAX_FOUND


@pytest.mark.usefixtures("hosts")
async def test_a_name_that_stands_for_nothing_says_so() -> None:
    with pytest.raises(
        Unresolved, match=r"its name nobody cannot be resolved to an IPv6 address \(Name or service not"
    ):
        await resolve(at("/dns6/nobody/tcp/9"))


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A resolver that does not answer before the end."""
    is_over = threading.Event()

    def getaddrinfo(*_: object) -> list[Any]:
        is_over.wait()
        return []

    monkeypatch.setattr(names, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(names, "LOOKUP_TIMEOUT_S", 0.001)
    yield
    is_over.set()


@pytest.mark.usefixtures("silence")
async def test_a_resolver_that_does_not_answer_is_given_up() -> None:
    with pytest.raises(Unresolved, match="no answer within"):
        await resolve(at("/dns/slow/tcp/9"))


@pytest.mark.usefixtures("silence")
async def test_a_resolver_that_does_not_answer_keeps_no_thread_from_others() -> None:
    for _ in range(2 * int(trio.to_thread.current_default_thread_limiter().total_tokens)):
        with pytest.raises(Unresolved, match="no answer within"):
            await resolve(at("/dns/slow/tcp/9"))
    with trio.fail_after(PATIENCE_S):
        await trio.to_thread.run_sync(str)


@pytest.mark.usefixtures("hosts")
async def test_a_dnsaddr_stands_for_what_its_records_say_of_this_peer(zone: Zone) -> None:
    wanted = [at("/ip4/192.0.2.1/tcp/1"), at("/ip6/2001:db8::1/tcp/2")]
    other, named, nested = at("/ip4/192.0.2.9/tcp/1", OTHER), at("/dns4/both/tcp/3"), at("/dnsaddr/inner")
    records = [*wanted, other, named, nested, at("/dns4/nobody/tcp/3")]
    zone(
        {
            "_dnsaddr.outer": ["v=spf1 -all", "dnsaddr=nonsense", *(f"dnsaddr={each}" for each in records)],
            "_dnsaddr.inner": [f"dnsaddr={at('/ip4/192.0.2.2/tcp/4')}"],
        }
    )
    assert await resolve(at("/dnsaddr/outer")) == [*wanted, at("/ip4/192.0.2.7/tcp/3"), at("/ip4/192.0.2.2/tcp/4")]


async def test_a_dnsaddr_that_names_itself_ends(zone: Zone) -> None:
    zone({"_dnsaddr.circle": [f"dnsaddr={at('/dnsaddr/circle')}"] * 3})
    with pytest.raises(Unresolved, match="it names no such address"):
        await resolve(at("/dnsaddr/circle"))


@pytest.mark.usefixtures("hosts")
async def test_a_dnsaddr_without_records_is_a_host_where_it_has_a_port(zone: Zone) -> None:
    zone({})
    assert at("/ip4/192.0.2.7/tcp/9") in await resolve(at("/dnsaddr/both/tcp/9"))
    with pytest.raises(Unresolved, match=r"there is no TXT record of _dnsaddr\.both"):
        await resolve(at("/dnsaddr/both"))
