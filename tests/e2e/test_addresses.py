"""Real nodes and the addresses of others: after a restart, among idlers, and as a tool against third parties."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from chain.content.genesis import Genesis
from chain.protocol.messages import Status
from p2p import handshake
from p2p.bookfile import BookFile
from p2p.client import announced
from p2p.frames import LIBRARY_ERRORS
from p2p.host import GuardedHost, open_host
from p2p.local.config import HomeConfig
from p2p.local.home import PEER_BOOK, create_home, peer_id_of
from p2p.network import TransportConfig
from p2p.requests import RequestError, Requests
from tests.support.running import DEADLINE_S, RunningNode, running, starting, wait_for
from tests.support.world import genesis_of, secret
from tests.unit.p2p.net import free_address

LISTEN = "/ip4/127.0.0.1/tcp/0"
IDLERS = 33
"""One more than there are places for strangers."""


def genesis(validators: int) -> Genesis:
    return genesis_of(validators, genesis_time_ms=int(time.time() * 1000))


def neighbours(node: RunningNode) -> set[str]:
    return {peer["peer_id"] for peer in node.get("/peers")["peers"]}


@contextmanager
def all_running(homes: Sequence[Path]) -> Iterator[list[RunningNode]]:
    """They start at the same time; ready."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(starting(home)) for home in homes]
        for node in nodes:
            node.wait_ready()
        yield nodes


def meshed(nodes: Sequence[RunningNode]) -> None:
    for node in nodes:
        wait_for(lambda node=node: len(neighbours(node)) >= len(nodes) - 1, "all are connected with all", 0.2)  # type: ignore[misc]


def test_three_of_four_find_each_other_after_a_restart_without_the_founder_that_all_knew(tmp_path: Path) -> None:
    rules, listen = genesis(4), [free_address() for _ in range(4)]
    founder = f"{listen[0]}/p2p/{peer_id_of(secret(1).seed)}"
    homes = [tmp_path / f"node{number}" for number in range(4)]
    for number, home in enumerate(homes):
        config = HomeConfig(listen=[listen[number]], peers=[founder] if number else [], http="127.0.0.1:0")
        create_home(home, rules, secret(number + 1).seed, config)
    with all_running(homes) as nodes:
        meshed(nodes)
        for home in homes[1:]:
            wait_for(lambda home=home: len(BookFile(home / PEER_BOOK).read()) == 3, "all are in the books")  # type: ignore[misc]
    with all_running(homes[1:]) as nodes:  # the first lives were killed
        meshed(nodes)


async def echo(_peer_id: str, request: bytes) -> bytes:
    return request


class Crowd:
    """Hosts of our own that visit one node."""

    def __init__(self, node: RunningNode, rules: Genesis) -> None:
        self._address: str = announced(node.home).addresses[0]
        self._peer_id = self._address.rpartition("/")[2]
        self._prefix = TransportConfig(seed=b"", genesis_id=rules.id).prefix
        self._hello = Status(rules.id, 0, 0, 0).encode()
        self.count = 0

    @asynccontextmanager
    async def visit(self, claims: Sequence[str] = ()) -> AsyncIterator[GuardedHost]:
        """Greet as somebody new, who says that it is at ``claims``, and answer pings."""
        self.count += 1
        async with open_host(b"visitors" * 3 + self.count.to_bytes(8, "big"), [LISTEN]) as host:
            host.swarm.admit = lambda _peer_id: True
            requests = Requests(host, self._prefix)
            requests.serve("ping", echo, max_request=64, max_response=64, max_concurrent=4)
            await host.swarm.dial_addr(Multiaddr(self._address), ID.from_base58(self._peer_id))
            hello = handshake.encode_hello([f"{claim}/p2p/{host.get_id()}" for claim in claims], self._hello)
            size = handshake.MAX_HELLO_BYTES
            await requests.ask(self._peer_id, "hello", hello, max_response=size, timeout_s=DEADLINE_S)
            yield host

    async def sit(self) -> None:
        """Visit, do nothing, and come again whenever there was no place."""
        while True:
            try:
                async with self.visit() as host:
                    while host.swarm.connections:
                        await trio.sleep(0.1)
            except* (*LIBRARY_ERRORS, RequestError):
                pass
            await trio.sleep(0.5)


def alone(path: Path, rules: Genesis) -> Path:
    """The home of a network's only validator."""
    create_home(path, rules, secret(1).seed, HomeConfig(listen=[free_address()], http="127.0.0.1:0"))
    return path


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(DEADLINE_S):
        while not await trio.to_thread.run_sync(condition):
            await trio.sleep(0.1)


def test_idle_identities_in_every_place_do_not_keep_an_honest_observer_out(tmp_path: Path) -> None:
    rules = genesis(1)
    with running(alone(tmp_path / "node", rules)) as node:
        address = announced(node.home).addresses[0]
        create_home(
            tmp_path / "observer",
            rules,
            secret(9).seed,
            HomeConfig(listen=[LISTEN], peers=[address], http="127.0.0.1:0"),
        )

        async def besiege() -> None:
            async with trio.open_nursery() as nursery:
                crowd = Crowd(node, rules)
                for _ in range(IDLERS):
                    nursery.start_soon(crowd.sit)
                await until(lambda: len(neighbours(node)) == IDLERS - 1)
                with starting(tmp_path / "observer") as observer:
                    await trio.to_thread.run_sync(observer.wait_ready)
                    await until(lambda: len(neighbours(observer)) == 1)
                    height = node.status()["height"]
                    await until(lambda: observer.status()["height"] >= max(3, height))
                nursery.cancel_scope.cancel()

        trio.run(besiege)


def test_a_node_is_no_tool_against_a_third_party(tmp_path: Path) -> None:
    rules = genesis(1)
    hits: list[int] = []

    async def hit(stream: trio.SocketStream) -> None:
        hits.append(stream.socket.getsockname()[1])
        await stream.aclose()

    async def reflect(node: RunningNode) -> None:
        async with trio.open_nursery() as nursery:
            listeners = [(await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] for _ in range(4)]
            nursery.start_soon(trio.serve_listeners, hit, listeners)
            claims = [f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}" for listener in listeners]
            crowd = Crowd(node, rules)
            for _ in range(60):  # the first leaves when its claims were tried, some when that may be, most at once
                async with crowd.visit(claims):
                    if crowd.count == 1:
                        await until(lambda: bool(hits))
                    await trio.sleep(0.5 * (crowd.count % 4 == 0))
            await until(lambda: len(neighbours(node)) == 0)
            nursery.cancel_scope.cancel()

    with running(alone(tmp_path / "node", rules)) as node:
        trio.run(reflect, node)
        assert 1 <= len(hits) <= 10
        assert BookFile(node.home / PEER_BOOK).read() == []
