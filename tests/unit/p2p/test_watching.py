"""Following headers from peers of which some are slow, silent, stale, or lie: each by itself, beside an honest one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from chain.branches.lightchain import Checkpoint, LightChain, restore, save
from chain.content.blocks import Block
from chain.protocol.messages import RawItems
from chain.protocol.serving import HEADINGS
from p2p import watching
from p2p.watching import Watch, open_watch
from tests.support.forge import heading
from tests.support.headings import CHAIN, FORGE, GENESIS, RIVAL, Server, config, serving
from tests.support.world import Actor, secret
from tests.unit.p2p.net import PATIENCE_S, until

KEYS = sorted(secret(number).public for number in range(1, 5))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0.05)


@asynccontextmanager
async def world(*chains: Sequence[Block], chain: LightChain | None = None) -> AsyncIterator[tuple[Watch, list[Server]]]:
    """A server for each chain, and a watch that is not connected to any before ``start``."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(at, blocks)) for at, blocks in enumerate(chains, 2)]
        addresses = tuple(server.transport.listen_addresses[0] for server in servers)
        settings = config(1, GENESIS, bootstrap=addresses)
        watch = await stack.enter_async_context(open_watch(settings, chain or LightChain(GENESIS)))
        yield watch, servers


def reached(watch: Watch, blocks: Sequence[Block]) -> Callable[[], bool]:
    return lambda: watch.chain.head.header.id == blocks[-1].id


async def test_headers_come_from_peers_and_finality_is_counted() -> None:
    async with world(CHAIN[:20], CHAIN[:20]) as (watch, servers):
        await until(reached(watch, CHAIN[:20]))
        assert watch.chain.final.header.id == CHAIN[17].id
        await until(lambda: watch.has_caught_up)
        servers[1].blocks = CHAIN
        await until(reached(watch, CHAIN))
        assert watch.refused == {}


async def test_it_goes_on_from_a_file() -> None:
    chain = LightChain(GENESIS)
    for block in CHAIN[:20]:
        chain.add(heading(block))
    async with world(CHAIN, chain=restore(GENESIS, save(chain), None)) as (watch, servers):
        await until(reached(watch, CHAIN))
        assert min(request.from_height for request in servers[0].asked) == 19


def forged_signature(block: Block) -> bytes:
    altered = block.header.raw[:-1] + bytes([block.header.raw[-1] ^ 1])
    return encode((altered if block.header.height == 9 else block.header.raw, block.ballot.raw))


def wrong_ballot(block: Block) -> bytes:
    return encode((block.header.raw, CHAIN[1].ballot.raw if block.header.height == 9 else block.ballot.raw))


def no_heading(block: Block) -> bytes:
    return b"\xc1"


async def refused_first(watch: Watch, liar: Server, honest: Server) -> None:
    """The honest peer answers once the liar was found out."""
    found = trio.Event()
    honest.before = found.wait
    await until(lambda: liar.peer_id in watch.refused)
    found.set()
    await until(reached(watch, CHAIN))


@pytest.mark.parametrize("alter", [forged_signature, wrong_ballot, no_heading])
async def test_who_sends_what_nobody_signed_is_banned(alter: Callable[[Block], bytes]) -> None:
    async with world(CHAIN, CHAIN) as (watch, (liar, honest)):
        liar.alter = alter
        await refused_first(watch, liar, honest)
        assert list(watch.refused) == [liar.peer_id]


def lying_deep_inside() -> list[Block]:
    """A chain of which one block says that less is prevoted than is."""
    wrong = FORGE.block(CHAIN[9], carrying=FORGE.attestations(CHAIN[9]), slot=300, mhp=CHAIN[9].header.mhp)
    return [*CHAIN[:10], wrong, *FORGE.chain(20, wrong)]


async def test_a_broken_count_deep_inside_bans_its_sender() -> None:
    async with world(lying_deep_inside(), CHAIN) as (watch, (liar, honest)):
        await refused_first(watch, liar, honest)
        assert watch.refused[liar.peer_id].startswith("wrong_mhp")


async def test_a_stale_peer_harms_nobody() -> None:
    async with world(CHAIN[:5], CHAIN) as (watch, (stale, _)):
        await until(lambda: reached(watch, CHAIN)() and stale.peer_id in watch.peers)
        assert watch.refused == {}


async def test_headers_of_slots_to_come_are_not_looked_at() -> None:
    early = FORGE.block(CHAIN[-1], slot=4_000_000_000)
    async with world([*CHAIN, early], CHAIN) as (watch, (eager, _)):
        await until(lambda: reached(watch, CHAIN)() and eager.peer_id in watch.peers)
        await until(lambda: eager.asked and eager.asked[-1].from_height == early.header.height)
        assert early.id not in watch.chain
        assert watch.refused == {}


async def test_a_silent_peer_holds_nobody_up() -> None:
    async with world(CHAIN, CHAIN) as (watch, (silent, _)):
        silent.before = trio.sleep_forever
        await until(reached(watch, CHAIN))


async def test_one_byte_a_second_holds_nobody_up() -> None:
    async with world(CHAIN, CHAIN) as (watch, (slow, _)):
        slow.drip()
        await until(reached(watch, CHAIN))


async def test_a_peer_that_claims_what_it_does_not_have_holds_nobody_up() -> None:
    async with world(CHAIN, CHAIN) as (watch, (empty, _)):

        async def nothing(_peer: str, _question: bytes) -> bytes:
            return RawItems(()).encode()

        empty.transport.requests.serve(
            HEADINGS.name, nothing, max_request=64, max_response=HEADINGS.max_reply, max_concurrent=8
        )
        await until(reached(watch, CHAIN))


async def test_two_final_chains_are_noticed() -> None:
    async with world(CHAIN, RIVAL) as (watch, _):
        await until(lambda: watch.chain.contradiction is not None)
        found = watch.chain.contradiction
        assert found is not None
        assert found.height == 7
        assert sorted(found.liars) == KEYS


async def test_two_final_chains_are_noticed_from_a_file_of_the_one() -> None:
    chain = LightChain(GENESIS)
    for block in CHAIN[:30]:
        chain.add(heading(block))
    async with world(CHAIN, RIVAL, chain=restore(GENESIS, save(chain), None)) as (watch, _):
        await until(lambda: watch.chain.contradiction is not None)
        found = watch.chain.contradiction
        assert found is not None
        assert (found.height, sorted(found.liars)) == (7, KEYS)


@pytest.mark.parametrize(("good", "bad"), [(CHAIN, RIVAL), (RIVAL, CHAIN)])
async def test_a_checkpoint_says_which_of_two_is_meant(good: list[Block], bad: list[Block]) -> None:
    pin = Checkpoint(20, good[19].id)
    async with world(bad, good, chain=LightChain(GENESIS, pin)) as (watch, (liar, _)):
        await until(lambda: reached(watch, good)() and liar.peer_id in watch.refused)
        assert watch.chain.is_anchored
        assert watch.chain.contradiction is None
        assert "checkpoint" in watch.refused[liar.peer_id]


async def test_without_a_chain_through_the_checkpoint_nothing_is_final() -> None:
    async with world(CHAIN, chain=LightChain(GENESIS, Checkpoint(20, bytes(32)))) as (watch, (liar,)):
        await until(lambda: liar.peer_id in watch.refused)
        assert not watch.chain.is_anchored
        assert not watch.has_caught_up


async def test_a_proof_counts_only_of_a_final_state() -> None:
    async with world(CHAIN) as (watch, (server,)):
        await until(reached(watch, CHAIN))

        async def junk(_peer: str, _key: bytes) -> bytes:
            return b"\x90"

        server.transport.requests.serve("proof", junk, max_request=32, max_response=1_000, max_concurrent=1)
        with trio.fail_after(PATIENCE_S), pytest.raises(Refused) as caught:
            await watch.newest_proof(Actor(GENESIS, 9).key)
        assert caught.value.reason is Reason.NOT_EXECUTED
        assert server.peer_id in watch.refused
