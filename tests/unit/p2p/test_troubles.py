"""What is wrong with a peer that the operator named is said once, and again when it changes or is over."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator

import pytest
import trio
from libp2p.network.exceptions import SwarmException
from libp2p.transport.exceptions import OpenConnectionError

from p2p.book import Contact
from p2p.troubles import Troubles, why_not_dialled
from tests.unit.p2p.net import GENESIS, free_address, peer_id_of, running, until

FOREIGN = b"\x22" * 32
Said = Callable[[], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """What was said of peers that were not reached, or are reached again."""
    with caplog.at_level(logging.INFO, "p2p.troubles"):
        yield lambda: [item.getMessage() for item in caplog.records if item.name == "p2p.troubles"]


async def test_an_address_where_nobody_listens_is_named_and_so_is_its_end(said: Said) -> None:
    listen = free_address()
    async with running(1, bootstrap=(f"{listen}/p2p/{peer_id_of(2)}",)) as node:
        await until(said)
        (line,) = said()
        assert line.startswith(
            f"peer {peer_id_of(2)} is not reached: {listen}: nobody can connect to it (Connection ref"
        )
        assert line.endswith("it is dialled again, every 5 s or sooner")
        contact = node.transport.peers._book.get(peer_id_of(2))
        assert contact is not None
        failures = contact.failures
        await until(lambda: contact.failures > failures + 1)
        assert said() == [line]  # not again while nothing changes
        async with running(2, listen=(listen,)):
            await until(lambda: len(said()) == 2)
        assert said()[1] == f"peer {peer_id_of(2)} is reached now, at {listen}"


async def test_another_peer_in_its_place_is_named(said: Said) -> None:
    async with running(2) as stranger:
        address = stranger.address.replace(peer_id_of(2), peer_id_of(3))
        async with running(1, bootstrap=(address,)):
            await until(said)
    assert f"another peer answers there, {peer_id_of(2)}" in said()[0]


async def test_a_foreign_network_is_named_at_once(said: Said) -> None:
    assert FOREIGN != GENESIS
    async with running(2, genesis_id=FOREIGN) as foreigner, running(1, bootstrap=(foreigner.address,)):
        await until(said)
    assert "it belongs to a foreign network" in said()[0]
    assert said()[0].endswith("it is left alone for 10 minutes")


async def test_another_service_and_a_mute_one_are_named(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.dialler.HANDSHAKE_TIMEOUT_S", 0.5)

    async def greet(stream: trio.SocketStream) -> None:
        await stream.send_all(b"\x04abcd")
        await trio.sleep_forever()

    async def say_nothing(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        ports = []
        for handler in (greet, say_nothing):
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            ports.append(listener.socket.getsockname()[1])
            nursery.start_soon(trio.serve_listeners, handler, [listener])
        peers = tuple(f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(number)}" for number, port in enumerate(ports, 2))
        async with running(1, bootstrap=peers):
            named = ((2, "what answers there is not a peer of this kind"), (3, "no answer within"))
            for number, what in named:  # in the end: a slow machine may take the one for the other first
                await until(
                    lambda number=number, what=what: any(peer_id_of(number) in line and what in line for line in said())  # type: ignore[misc]
                )
        nursery.cancel_scope.cancel()


async def test_peers_that_only_others_named_are_not_worth_a_line(said: Said) -> None:
    troubles = Troubles()
    for _ in range(5):
        troubles.note(Contact("A", bootstrap=False, failures=9), "nobody is there", "so what")
        troubles.note(None, "nobody is there", "so what")
    troubles.over("A", "there")
    assert said() == []


def test_the_first_failure_may_be_a_late_start_and_a_change_is_said(said: Said) -> None:
    troubles, contact = Troubles(), Contact("A", bootstrap=True)
    troubles.note(contact, "refused", "again")
    assert said() == []
    contact.failures = 1
    for trouble in ("refused", "refused", "silent", "silent", "refused"):
        troubles.note(contact, trouble, "again")
    assert said() == [f"peer A is not reached: {trouble}; again" for trouble in ("refused", "silent", "refused")]


def failure(cause: Exception | None) -> SwarmException:
    error = SwarmException("fail to open connection")
    error.__cause__ = OpenConnectionError("Failed to connect")
    error.__cause__.__cause__ = cause
    return error


def test_hosts_without_a_way_are_told_from_others() -> None:
    no_way = ExceptionGroup("all attempts", [OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))])
    assert "No route to host" in why_not_dialled(failure(no_way), "A")
    assert why_not_dialled(failure(None), "A") == "nobody can connect to it"
