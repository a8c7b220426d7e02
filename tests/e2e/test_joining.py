"""Real nodes that join by blocks and by state: killed again and again, and beside peers that misbehave."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from chain.base.errors import OperatorError, Reason, Refused
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.newcomer import draft_of
from chain.disk.reader import Reader
from chain.protocol.messages import MAX_MESSAGE_BYTES, MAX_PART_REQUEST_BYTES, GetPart
from chain.protocol.serving import BLOCKS, HEADINGS, Kind, Question
from chain.register.statekeys import member_key
from chain.tree.ranges import ANY
from node import Node, open_node
from p2p.client import announced
from p2p.local.config import WAYS_TO_JOIN, HomeConfig
from p2p.local.home import create_home, load_home
from p2p.prices import STATE
from tests.support.forgetting import ForgettingCity
from tests.support.running import DEADLINE_S, RunningNode, run_to_end, running, starting, wait_for
from tests.support.world import Actor, genesis_of, secret

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
VALIDATORS = 4


def home(folder: Path, rules: Genesis, number: int, peers: list[str], **settings: str) -> Path:
    config = HomeConfig(listen=[LOOPBACK], http="127.0.0.1:0", peers=peers, **settings)  # type: ignore[arg-type]
    create_home(folder / f"node{number}", rules, secret(number).seed, config)
    return folder / f"node{number}"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[list[RunningNode]]:
    """Three of four validators that make a block in each slot, and two hundred members whose enrolments are final."""
    rules = genesis_of(VALIDATORS, genesis_time_ms=int(time.time() * 1000), heartbeat_slots=1)
    members = [Actor(rules, number).sign(Enrol()) for number in range(100, 300)]
    with ExitStack() as stack:
        nodes: list[RunningNode] = []
        for number in range(1, VALIDATORS):
            peers = [announced(node.home).addresses[0] for node in nodes]
            nodes.append(stack.enter_context(running(home(tmp_path, rules, number, peers))))
        assert nodes[0].submit(members) == [None] * len(members)
        with closing(Reader(nodes[0].home / DATABASE, rules)) as reader:
            wait_for(lambda: reader.entry(member_key(members[-1].actor)) is not None, "the enrolments are final")
            wait_for(lambda: reader.finalized_height() > 8, "some blocks are final")
        yield nodes


def addresses(nodes: list[RunningNode]) -> list[str]:
    return [announced(node.home).addresses[0] for node in nodes]


@pytest.mark.parametrize("join", WAYS_TO_JOIN)
def test_a_validator_joins_is_killed_goes_on_and_makes_blocks(
    network: list[RunningNode], tmp_path: Path, join: str
) -> None:
    rules = load_home(network[0].home).genesis
    late = home(tmp_path, rules, VALIDATORS, addresses(network), join=join)
    draft = draft_of(late / DATABASE)
    for moment in Random(7).sample(range(40), 10):
        with starting(late) as node:
            wait_for(lambda: draft.exists() or _is_ready(late), "it has begun")
            time.sleep(moment / 20)  # a few moments of many: nothing depends on which
            node.process.kill()
            node.process.wait()
    with running(late) as node:
        if join == "state" and node.status()["oldest_body"] == 1:
            node.wait_said("joined")
        assert not draft.exists()
        with closing(Reader(late / DATABASE, rules)) as reader:
            wait_for(lambda: reader.count_members() == 200, "all members are there")
        key = secret(VALIDATORS).public

        def has_made() -> bool:
            with closing(Reader(network[0].home / DATABASE, rules)) as reader:
                return any(header.proposer == key for header, _ in reader.headers(1, 10_000))

        wait_for(has_made, "it makes blocks")
        wait_for(lambda: _same_final(node, network[0]), "it is where the others are")
        assert (node.status()["oldest_body"] > 1) == (join == "state")
        assert node.get("/peers")["banned"] == {}


def _is_ready(folder: Path) -> bool:
    return (folder / "node.json").exists()


def _same_final(one: RunningNode, other: RunningNode) -> bool:
    height = min(one.status()["finalized_height"], other.status()["finalized_height"])
    ids = {node.get(f"/blocks?from={height}&limit=1")["blocks"][0]["id"] for node in (one, other)}
    return height > 10 and len(ids) == 1


def test_an_older_chain_wants_a_checkpoint_and_one_off_the_chain_leads_nowhere(tmp_path: Path) -> None:
    rules = genesis_of(VALIDATORS)  # of 1970
    late = home(tmp_path, rules, 1, [])
    ended = run_to_end("run", "--home", str(late), "--join", "state")
    assert ended.returncode == 2
    assert "older than 365 days" in ended.stderr
    assert "--checkpoint HEIGHT:ID" in ended.stderr
    ended = run_to_end("run", "--home", str(late), "--join", "state", "--checkpoint", "7:what")
    assert ended.returncode == 2
    assert "not a checkpoint" in ended.stderr


# ------------------------------------------------------------------------------------- peers that are not honest


@pytest.fixture(scope="module")
def city() -> ForgettingCity:
    return ForgettingCity()


@pytest.fixture(scope="module")
def written(city: ForgettingCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds all of the city's chain."""
    return city.write(tmp_path_factory.mktemp("city") / "home")


class Nodes:
    """Observers of the city."""

    def __init__(self, city: ForgettingCity, written: Path, folder: Path, stack: AsyncExitStack) -> None:
        self._city = city
        self._written = written
        self._folder = folder
        self._stack = stack
        self._count = 0

    async def start(self, peers: list[Node], *, holds: bool, **settings: str) -> Node:
        self._count += 1
        path = self._folder / f"home{self._count}"
        known = [node.transport.listen_addresses[0] for node in peers]
        config = HomeConfig(listen=[LOOPBACK], http="127.0.0.1:0", peers=known, **settings)  # type: ignore[arg-type]
        create_home(path, self._city.genesis, secret(200 + self._count).seed, config)
        if holds:
            for name in (DATABASE, f"{DATABASE}-commits"):
                shutil.copy(self._written / name, path / name)
        return await self._stack.enter_async_context(open_node(load_home(path)))


Distort = Callable[[bytes], Awaitable[bytes]]


async def flipped(reply: bytes) -> bytes:
    return reply[:-1] + bytes([reply[-1] ^ 1])


async def cut_short(reply: bytes) -> bytes:
    return reply[: len(reply) // 2]


async def with_more_behind_it(reply: bytes) -> bytes:
    return reply + bytes(1)


async def nothing(_reply: bytes) -> bytes:
    return b""


async def no_answer(_reply: bytes) -> bytes:
    await trio.sleep_forever()
    raise AssertionError


async def refusal(_reply: bytes) -> bytes:
    raise Refused(Reason.NOT_EXECUTED, "not today")


def the_first_reply_again() -> Distort:
    """What somebody was answered before, who may have asked something else."""
    first: list[bytes] = []

    async def give(reply: bytes) -> bytes:
        first.append(reply)
        return first[0]

    return give


WAYS_TO_MISBEHAVE: dict[str, Callable[[], Distort]] = {
    "a flipped bit": lambda: flipped,
    "cut short": lambda: cut_short,
    "more behind it": lambda: with_more_behind_it,
    "nothing": lambda: nothing,
    "no answer": lambda: no_answer,
    "a refusal": lambda: refusal,
    "the first reply again": the_first_reply_again,
}


class Server:
    """Whom a newcomer asks: this one answers with what ``distort`` makes of the truth; ``asked`` is for what."""

    def __init__(self, node: Node, distort: Distort) -> None:
        self._node = node
        self._distort = distort
        self.asked: list[Question | GetPart] = []
        limits = {"max_request": MAX_PART_REQUEST_BYTES, "max_response": MAX_MESSAGE_BYTES, "max_concurrent": 4}
        node.transport.requests.serve(STATE, self._give, **limits)
        for kind in (HEADINGS, BLOCKS):
            node.transport.requests.serve(kind.name, partial(self._answer, kind), **limits)

    async def _give(self, _peer: str, data: bytes) -> bytes:
        question = GetPart.decode(data)
        reply = await self._node.give(question)
        if question.root == ANY:  # which state it has: in that much it is right
            return reply
        self.asked.append(question)
        return await self._distort(reply)

    async def _answer(self, kind: Kind, _peer: str, data: bytes) -> bytes:
        question = kind.decode(data)
        self.asked.append(question)
        return await self._distort(await self._node.answer(question))


def once(others: Sequence[Server]) -> Distort:
    """The truth, but not before each of the others was asked."""

    async def give(reply: bytes) -> bytes:
        while not all(other.asked for other in others):
            await trio.sleep(0.02)
        return reply

    return give


@pytest.mark.parametrize("misbehave", WAYS_TO_MISBEHAVE.values(), ids=WAYS_TO_MISBEHAVE)
@pytest.mark.parametrize("join", WAYS_TO_JOIN)
@pytest.mark.filterwarnings("ignore")
async def test_two_of_three_peers_misbehave_and_it_joins_all_the_same(
    city: ForgettingCity,
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    join: str,
    misbehave: Callable[[], Distort],
) -> None:
    monkeypatch.setattr("chain.protocol.joining.MAX_PART_BYTES", 1_000)
    monkeypatch.setattr("p2p.local.arrival.check_age", lambda *_arguments: None)
    with trio.fail_after(DEADLINE_S):
        async with AsyncExitStack() as stack:
            nodes = Nodes(city, written, tmp_path, stack)
            liars = [await nodes.start([], holds=True) for _ in range(2)]
            servers = [Server(liar, misbehave()) for liar in liars]
            honest = await nodes.start([], holds=True)
            Server(honest, once(servers))
            newcomer = await nodes.start([*liars, honest], holds=False, join=join)
            while newcomer.engine.chain.head.header.height < len(city.blocks):
                await trio.sleep(0.05)
            assert (newcomer.keeper.describe()["oldest_body"] > 1) == (join == "state")
            assert newcomer.engine.chain.head.header.id == honest.engine.chain.head.header.id


@pytest.mark.filterwarnings("ignore")
async def test_a_checkpoint_that_is_too_old_is_none(city: ForgettingCity, written: Path, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(city, written, tmp_path, stack)
        honest = await nodes.start([], holds=True)
        block = city.blocks[3]
        with pytest.raises(OperatorError, match="the block of the checkpoint is older"):
            await nodes.start([honest], holds=False, join="state", checkpoint=f"{block.header.height}:{block.id.hex()}")
        assert json.loads((tmp_path / "home1" / "genesis.json").read_text("utf-8"))
