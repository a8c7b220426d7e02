"""Votes against a naive recount, and safety of whole networks on bad links with some validators lying."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.forkchoice import Choice, choose
from chain.votes import Ballot, Votes, is_equivocation


def key(index: int) -> bytes:
    return index.to_bytes(32, "big")


# --- a naive recount of whole histories ----------------------------------------------------------------

Weights = dict[bytes, int]
Vote = tuple[bytes, int]  # who, for which height


@dataclass(frozen=True)
class History:
    """The blocks of one chain from height 1, and the weights in force at each height."""

    batch: int
    blocks: list[Ballot]
    weights: dict[int, Weights]


class Recount(NamedTuple):
    mhp: int
    mhpc: int
    finalized: int
    prevotes: dict[int, int]
    precommits: dict[int, int]


def vouched(block: Ballot, window: dict[int, Ballot]) -> set[int]:
    """All heights its proposer voted for, as far as its blocks in the window show without a gap."""
    heights = set(range(block.mhg + 1, block.height + 1))
    before = window.get(block.mhg)
    if before and before.proposer == block.proposer and before.mhg < before.height:
        heights |= vouched(before, window)
    return heights


def recount(history: History) -> Iterator[Recount]:
    """The outcome after each block, from lists of single votes and with nothing kept but those."""
    prevotes: list[Vote] = []
    precommits: list[Vote] = []
    mhp = mhpc = finalized = 0

    def count(votes: list[Vote], height: int) -> int:
        return sum(history.weights[height][who] for who, voted in votes if voted == height)

    def enough(votes: list[Vote], height: int) -> bool:
        return 3 * count(votes, height) > 2 * sum(history.weights[height].values())

    for block in history.blocks:
        bottom = max(1, block.height - 3 * history.batch + 1)
        window = {b.height: b for b in history.blocks[bottom - 1 : block.height]}
        voter = block.proposer
        if block.mhg < block.height and voter in history.weights[block.height]:
            joined = block.height
            while voter in history.weights.get(joined - 1, {}):
                joined -= 1
            gap = max(set(window) - vouched(block, window), default=bottom - 1)
            done = max((height for who, height in precommits if who == voter), default=0)
            precommits += [
                (voter, height)
                for height in window
                if height > gap and height > done and height >= joined and enough(prevotes, height)
            ]
            prevotes += [(voter, height) for height in window if height > block.mhg and height >= joined]
        mhp = max((height for height in window if enough(prevotes, height)), default=mhp)
        mhpc = max((height for height in window if enough(precommits, height)), default=mhpc)
        finalized = max(finalized, mhpc)
        yield Recount(
            mhp,
            mhpc,
            finalized,
            {height: count(prevotes, height) for height in window},
            {height: count(precommits, height) for height in window},
        )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Chains with skipped slots, absent validators, strangers, false ``mhg``, and changing validators."""
    size = draw(st.integers(1, 6))
    batch = draw(st.integers(size, size + 1))
    some_weights = st.dictionaries(st.integers(0, size - 1), st.integers(0, 3), min_size=1, max_size=size)
    possible = some_weights.filter(lambda weights: any(weights.values()))
    weights = draw(st.one_of(st.just(dict.fromkeys(range(size), 1)), possible))
    absent = draw(st.sets(st.integers(0, size), max_size=size // 2))
    liars = draw(st.sets(st.integers(0, size), max_size=size))
    turns = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), max_size=40))
    changes = draw(st.dictionaries(st.integers(1, 40), possible, max_size=3))

    history = History(batch, [], {})
    latest: dict[int, int] = {}
    slot = 0
    for height, (skipped, lie) in enumerate(turns, start=1):
        slot += 1 + skipped
        while slot % (size + 1) in absent:
            slot += 1
        proposer = slot % (size + 1)
        mhg = lie % (height + 3) if proposer in liars and lie % 2 else latest.get(proposer, 0)
        latest[proposer] = height
        weights = changes.get(height, weights)
        history.weights[height] = {key(who): weight for who, weight in weights.items()}
        history.blocks.append(Ballot(height, key(proposer), mhg, mhp=0))
    return history


def replay(history: History) -> Iterator[Votes]:
    votes = Votes.genesis(list(history.weights.get(1, {key(0): 1}).items()), history.batch)
    for block in history.blocks:
        votes = votes.with_validators(list(history.weights[block.height].items()), block.height)
        votes = votes.apply(block)
        yield votes


@given(histories())
@settings(deadline=None, max_examples=150)
def test_votes_are_those_of_a_naive_recount(history: History) -> None:
    for votes, expected in zip(replay(history), recount(history), strict=True):
        assert (votes.mhp, votes.mhpc, votes.finalized) == expected[:3]
        assert {info.height: info.prevotes for info in votes.infos} == expected.prevotes
        assert {info.height: info.precommits for info in votes.infos} == expected.precommits


@given(histories())
@settings(deadline=None)
def test_on_a_chain_the_prevoted_and_the_final_height_never_fall(history: History) -> None:
    heights = [(0, 0, 0)]
    heights += [(votes.finalized, votes.mhpc, votes.mhp) for votes in replay(history)]
    for before, after in itertools.pairwise(heights):
        assert all(a <= b for a, b in zip(before, after, strict=True))
    assert all(finalized <= mhp for finalized, _, mhp in heights)


@given(histories())
@settings(deadline=None)
def test_a_snapshot_brings_back_the_same_state(history: History) -> None:
    for votes in replay(history):
        encoded = votes.encode()
        assert Votes.decode(encoded) == votes
        assert Votes.decode(encoded).encode() == encoded


@given(histories())
@settings(deadline=None)
def test_without_contradictions_nobody_votes_twice_for_a_block(history: History) -> None:
    """Why a proposer that lies about ``mhg`` gains nothing: the lie contradicts its latest block."""
    weights = history.weights.get(1, {key(0): 1})
    votes = Votes.genesis(list(weights.items()), history.batch)
    for block in history.blocks:
        offered = Ballot(votes.height + 1, block.proposer, block.mhg, votes.mhp)
        if not votes.contradicts(offered):
            votes = votes.apply(offered)
        assert all(max(i.prevotes, i.precommits) <= sum(weights.values()) for i in votes.infos)


# --- whole networks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    id: bytes
    parent: bytes
    height: int
    slot: int
    proposer: bytes
    mhg: int
    mhp: int


GENESIS = Block(id=b"genesis", parent=b"", height=0, slot=0, proposer=b"", mhg=0, mhp=0)


@dataclass
class Node:
    """One validator's view of the network."""

    tip: Block = GENESIS
    tip_in_slot: bool = True
    known: set[bytes] = field(default_factory=lambda: {GENESIS.id})
    waiting: list[tuple[Block, int]] = field(default_factory=list)
    mhg: int = 0
    final: dict[int, bytes] = field(default_factory=dict)


class Network:
    """Validators in turn on two sides of a bad link, which loses nothing but is late; the last of them lie."""

    def __init__(self, count: int, liars: int, seed: int, fail_rate: float) -> None:
        self.random = Random(seed)
        self.count = count
        self.honest = range(count - liars)
        self.fail_rate = fail_rate  # how many of their slots the honest miss
        self.silent = False  # whether the liars are gone
        self.nodes = [Node() for _ in self.honest]
        self.blocks = {GENESIS.id: GENESIS}
        self.votes = {GENESIS.id: Votes.genesis([(key(index), 1) for index in range(count)], batch=count)}
        self.inbox: list[tuple[int, int, Block]] = []  # due slot, node, block
        self.final: dict[int, bytes] = {}
        self.safe = True

    def run(self, first_slot: int, slots: int, max_delay: int) -> None:
        for slot in range(first_slot, first_slot + slots):
            leader = slot % self.count
            if leader in self.honest and self.random.random() >= self.fail_rate:
                self.propose(leader, slot, max_delay)
            elif leader not in self.honest and not self.silent:
                self.lie(leader, slot)
            self.deliver(slot)

    def propose(self, leader: int, slot: int, max_delay: int) -> None:
        """An honest block: on the tip, with the largest height ever generated, to everyone."""
        node = self.nodes[leader]
        block = self.make(node.tip, leader, slot, node.mhg)
        assert not self.votes[node.tip.id].contradicts(block)
        node.mhg = max(node.mhg, block.height)
        self.record(block)
        self.receive(leader, block, slot)
        for index in (*self.honest[:leader], *self.honest[leader + 1 :]):
            same_side = index % 2 == leader % 2
            self.send(block, index, slot if same_side else slot + self.random.choice((0, max_delay)))

    def lie(self, leader: int, slot: int) -> None:
        """A block for each side that hides the other's, and sometimes any ``mhg``, if it passes there."""
        for side in (0, 1):
            members = self.honest[side::2]
            if not members:
                continue
            parent = self.nodes[self.random.choice(members)].tip
            own = (self.blocks[i] for i in self.branch(parent).values())
            mhg = max((block.height for block in own if block.proposer == key(leader)), default=0)
            if self.random.random() < 0.1:
                mhg = self.random.randrange(parent.height + 2)
            block = self.make(parent, leader, slot, mhg)
            if block.slot > parent.slot and not self.votes[parent.id].contradicts(block):
                self.record(block)
                for index in members:
                    self.send(block, index, slot)

    def make(self, parent: Block, leader: int, slot: int, mhg: int) -> Block:
        number = len(self.blocks).to_bytes(4, "big") + self.random.randbytes(4)
        return Block(number, parent.id, parent.height + 1, slot, key(leader), mhg, self.votes[parent.id].mhp)

    def record(self, block: Block) -> None:
        self.blocks[block.id] = block
        self.votes[block.id] = self.votes[block.parent].apply(block)

    def send(self, block: Block, index: int, due: int) -> None:
        self.inbox.append((due, index, block))

    def deliver(self, slot: int) -> None:
        due = [message for message in self.inbox if message[0] <= slot]
        self.inbox = [message for message in self.inbox if message[0] > slot]
        for _, index, block in due:
            self.receive(index, block, slot)

    def receive(self, index: int, block: Block, slot: int) -> None:
        node = self.nodes[index]
        if block.id in node.known:
            return
        if block.parent not in node.known:
            node.waiting.append((block, slot))
            self.send(self.blocks[block.parent], index, slot + 1)  # fetched from who sent the child
            return
        node.known.add(block.id)
        choice = choose(node.tip, node.tip_in_slot, block, slot == block.slot)
        if choice in (Choice.EXTENDS, Choice.SWITCH, Choice.TIE_BREAK):
            self.adopt(node, block, slot)
        ready = [message for message in node.waiting if message[0].parent == block.id]
        node.waiting = [message for message in node.waiting if message[0].parent != block.id]
        for child, arrived in ready:
            self.receive(index, child, arrived)

    def adopt(self, node: Node, block: Block, slot: int) -> None:
        branch = self.branch(block)
        if any(branch.get(height) != final for height, final in node.final.items()):
            self.safe = False  # the better branch crosses what is final here: refused
            return
        node.tip, node.tip_in_slot = block, slot == block.slot
        for height in range(len(node.final) + 1, self.votes[block.id].finalized + 1):
            node.final[height] = branch[height]
            if self.final.setdefault(height, branch[height]) != branch[height]:
                self.safe = False

    def branch(self, tip: Block) -> dict[int, bytes]:
        ids = {}
        while tip.height:
            ids[tip.height] = tip.id
            tip = self.blocks[tip.parent]
        return ids

    def culprits(self) -> set[bytes]:
        made = [block for block in self.blocks.values() if block.height]
        return {a.proposer for a, b in itertools.combinations(made, 2) if is_equivocation(a, b)}


network_seeds = st.integers(0, 2**32 - 1)
fail_rates = st.sampled_from([0.0, 0.2, 0.5])
delays = st.sampled_from([1, 3, 9, 60])  # in slots, between the sides


@given(network_seeds, st.sampled_from([(3, 0), (4, 0), (4, 1), (7, 2)]), fail_rates, delays)
@settings(deadline=None, max_examples=100)
def test_below_a_third_of_liars_final_blocks_never_conflict(
    seed: int, sizes: tuple[int, int], fail_rate: float, max_delay: int
) -> None:
    network = Network(*sizes, seed=seed, fail_rate=fail_rate)
    network.run(first_slot=1, slots=60, max_delay=max_delay)
    assert network.safe
    assert not network.culprits() & {key(index) for index in network.honest}


@given(network_seeds, st.sampled_from([(3, 0), (4, 1), (7, 2)]), fail_rates, delays)
@settings(deadline=None, max_examples=40)
def test_when_the_links_recover_the_honest_agree_on_new_final_blocks(
    seed: int, sizes: tuple[int, int], fail_rate: float, max_delay: int
) -> None:
    network = Network(*sizes, seed=seed, fail_rate=fail_rate)
    network.run(first_slot=1, slots=30, max_delay=max_delay)
    highest = max(block.height for block in network.blocks.values())
    network.fail_rate, network.silent = 0.0, True

    network.run(first_slot=31, slots=max_delay + 2 * highest + 4 * network.count, max_delay=0)

    assert network.safe
    assert len({node.tip.id for node in network.nodes}) == 1
    assert all(len(node.final) > highest for node in network.nodes)


@given(network_seeds, st.sampled_from([(4, 2), (7, 3), (7, 4)]), delays)
@settings(deadline=None, max_examples=60)
def test_if_final_blocks_conflict_their_headers_convict_a_third_and_nobody_honest(
    seed: int, sizes: tuple[int, int], max_delay: int
) -> None:
    network = Network(*sizes, seed=seed, fail_rate=0.0)
    network.run(first_slot=1, slots=60, max_delay=max_delay)
    culprits = network.culprits()
    assert not culprits & {key(index) for index in network.honest}
    assert network.safe or 3 * len(culprits) >= network.count
