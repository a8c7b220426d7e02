"""Votes against a counter of its own, and safety of whole networks on bad links with some validators lying."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.base.errors import Reason, Refused
from chain.consensus import electorate
from chain.consensus.electorate import NOTHING_DECIDED, Decision, Electorate, Gate, Joint
from chain.consensus.forkchoice import Choice, choose
from chain.consensus.statements import NO_TAG, Said, contradicting, is_equivocation
from chain.consensus.votecodec import decode_votes, encode_votes
from chain.consensus.votes import Count, Votes
from tests.support.counting import equal, key

GATE_BLOCKS = 6


@pytest.fixture(autouse=True, scope="module")
def short_gates() -> Iterator[None]:
    """So that gates lapse within a test."""
    with patch.object(electorate, "GATE_BLOCKS", GATE_BLOCKS):
        yield


# --- a counter of its own, after the pseudo code of the protocol -----------------------------------------

Weights = dict[bytes, int]
Vote = tuple[bytes, int]
"""Who, for which height."""


class Recount:
    """One branch, from lists of single votes; nothing is summed up before it is asked for."""

    def __init__(self, validators: Weights, batch: int) -> None:
        self.batch = batch
        self.height = self.mhp = self.mhpc = 0
        self.current, self.start = validators, 1
        self.phase: tuple[str, int, Weights] | None = None
        self.sets: dict[int, tuple[Weights, ...]] = {}
        self.speakers: dict[int, set[bytes]] = {}
        self.said: dict[Vote, int] = {}
        self.late: list[tuple[bytes, int, int]] = []  # who spoke, at which height, in which block
        self.mhps: dict[int, int] = {}
        self.mhpcs: dict[int, int] = {}
        self.renewed: list[Vote] = []
        self.voters = dict.fromkeys(validators, (1, 0))
        self.prevotes: list[Vote] = []
        self.precommits: list[Vote] = []

    def open(self) -> Recount:
        """The same branch with one more block."""
        after = copy.deepcopy(self)
        after.height += 1
        joint = [self.phase[2]] if self.phase and self.phase[0] == "joint" else []
        heard = [self.phase[2]] if self.phase else []
        after.sets[after.height] = (self.current, *joint)
        after.speakers[after.height] = {who for each in (self.current, *heard) for who in each if each[who]}
        return after

    @property
    def bottom(self) -> int:
        return max(1, self.height - 3 * self.batch + 1)

    def window(self) -> range:
        return range(self.bottom, self.height + 1)

    def weight(self, votes: list[Vote], height: int) -> tuple[int, ...]:
        return tuple(sum(each.get(who, 0) for who, at in votes if at == height) for each in self.sets[height])

    def enough(self, votes: list[Vote], height: int) -> bool:
        wanted = [2 * sum(each.values()) for each in self.sets[height]]
        return all(3 * has > need for has, need in zip(self.weight(votes, height), wanted, strict=True))

    def contradicts(self, who: bytes, said: Said) -> bool:
        """Any statement of its speaker in the window, not the nearest ones alone."""
        return any(
            contradicting(Said(at, self.said[who, at], self.mhps[at]), said)
            for at in self.window()
            if (who, at) in self.said and at != said.height
        )

    def is_valid(self, who: bytes, height: int, mhg: int) -> bool:
        if not (self.mhpc < height < self.height and height >= self.bottom):
            return False
        renewals = [at for key, at in self.renewed if key == who]
        return (
            who in self.speakers[height]
            and all(at <= self.mhpcs[height] for at in renewals)
            and (who, height) not in self.said
            and mhg < height
            and not self.contradicts(who, Said(height, mhg, self.mhps[height]))
        )

    def carried_all(self) -> int:
        self.mhp = max((at for at in self.window() if self.enough(self.prevotes, at)), default=0) or self.mhp
        self.mhps[self.height] = self.mhp
        return self.mhp

    def count(self, who: bytes, height: int, mhg: int) -> None:
        self.said[who, height] = mhg
        self.late.append((who, height, self.height))
        if mhg >= height or not any(each.get(who) for each in self.sets[height]):
            return
        p = mhg
        hnp = self.bottom - 1
        while p >= self.bottom:
            if (who, p) not in self.said or self.said[who, p] >= p:
                hnp = p
                break
            p = self.said[who, p]
        min_active, largest = self.voters[who]
        lowest = max(min_active, hnp + 1, largest + 1)
        hits = [at for at in range(min(height, self.mhps[height]), lowest - 1, -1) if self.enough(self.prevotes, at)]
        self.precommits += [(who, at) for at in hits]
        self.voters[who] = (min_active, max([largest, *hits]))
        self.prevotes += [(who, at) for at in range(max(mhg + 1, min_active, self.bottom), height + 1)]

    def is_alive(self, following: Weights, spoke: set[bytes]) -> bool:
        rising = {who for who, weight in following.items() if weight > self.current.get(who, 0)}
        return rising <= spoke and 3 * sum(following.get(who, 0) for who in spoke) > 2 * sum(following.values())

    def close(self, decision: Decision) -> None:
        self.mhp = max((at for at in self.window() if self.enough(self.prevotes, at)), default=0) or self.mhp
        self.mhpc = max((at for at in self.window() if self.enough(self.precommits, at)), default=0) or self.mhpc
        self.mhpcs[self.height] = self.mhpc
        self.renewed += [(who, self.height) for who, _ in decision.tags]
        if decision.following:
            self.phase = ("gate", self.height, dict(decision.following))
        elif self.phase:
            kind, since, following = self.phase
            spoke = {who for who, at, block in self.late if at >= since and block > since}
            if kind == "joint" and self.mhpc >= since:
                self.current, self.start, self.phase = following, self.height + 1, None
            elif kind == "gate" and self.is_alive(following, spoke):
                self.phase = ("joint", self.height + 1, following)
                self.voters |= {who: (self.height + 1, self.height) for who in following if not self.current.get(who)}
            elif kind == "gate" and self.height - since >= GATE_BLOCKS:
                self.phase = None


# --- random branches ---------------------------------------------------------------------------------------


@dataclass
class Branch:
    """The votes after a block, as both counters have them, and what was said on the way to it."""

    votes: Votes
    recount: Recount
    blocks: tuple[Made, ...] = ()


@dataclass(frozen=True)
class Made:
    """A block for the votes alone."""

    proposer: bytes
    mhg: int
    carried: tuple[tuple[bytes, int, int], ...]
    decision: Decision
    id: bytes


class Forest:
    """Branches by validators of whom some are absent, some lie, and some come and go."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.people = [key(index) for index in range(random.randint(1, 6))]
        self.batch = len(self.people) + random.randint(0, 1)
        self.liars = {who for who in self.people if random.random() < 0.2}
        self.absent = {who for who in self.people if random.random() < 0.15}
        self.attesting = random.choice((0.0, 0.3, 0.8, 1.0))
        first = self.some_set()
        recount = Recount(first, self.batch)
        self.branches = [Branch(Votes.genesis(tuple(first.items()), self.batch), recount)]

    def some_set(self) -> Weights:
        while True:
            chosen = [who for who in self.people if self.random.random() < 0.8]
            weights = {who: self.random.choice((0, 1, 1, 1, 2, 3)) for who in chosen}
            if any(weights.values()):
                return weights

    def grow(self) -> Branch:
        """One more block somewhere, mostly at an end; both counters take and refuse the same."""
        random = self.random
        parent = self.branches[-1] if random.random() < 0.85 else random.choice(self.branches[-8:])
        present = [who for who in self.people if who not in self.absent] or self.people
        proposer = random.choice([*present, random.choice(self.people), key(99)])
        count, recount = parent.votes.open(parent.votes.height + 1), parent.recount.open()
        carried = tuple(vote for vote in self.offered(parent, present) if self.both_take(count, recount, vote))
        mhp = count.carried_all()
        assert mhp == recount.carried_all()
        mhg = self.mhg_of(proposer, recount, recount.height)
        wrong = recount.contradicts(proposer, Said(recount.height, mhg, mhp))
        if wrong:
            assert _reason(count.speak, proposer, mhg) is Reason.CONTRADICTS_EARLIER_BLOCK
            proposer, mhg = key(1_000 + recount.height), 0  # somebody of whom nobody heard
        count.speak(proposer, mhg)
        recount.count(proposer, recount.height, mhg)
        decision = self.decision(parent.votes.electorate)
        block_id = random.randbytes(32)
        votes = count.close(block_id, decision)
        recount.close(decision)
        made = Made(proposer, mhg, carried, decision, block_id)
        self.branches.append(Branch(votes, recount, (*parent.blocks, made)))
        return self.branches[-1]

    def offered(self, parent: Branch, present: Iterable[bytes]) -> list[tuple[bytes, int, int]]:
        """Some attestations, true and false, in the order of a ballot, each height and speaker once."""
        random, height = self.random, parent.votes.height
        votes = {
            (at, who): self.mhg_of(who, parent.recount, at)
            for who in present
            for at in {height, height - 1, random.randint(0, height + 1)}
            if random.random() < self.attesting
        }
        return [(who, at, mhg) for (at, who), mhg in sorted(votes.items())]

    def both_take(self, count: Count, recount: Recount, vote: tuple[bytes, int, int]) -> bool:
        is_valid = recount.is_valid(*vote)
        who, height, mhg = vote
        assert (count.refuse(who, height, mhg) is None) is is_valid
        if is_valid:
            count.take(who, height, mhg)
            recount.count(who, height, mhg)
        return is_valid

    def mhg_of(self, who: bytes, recount: Recount, height: int) -> int:
        if who in self.liars and self.random.random() < 0.5:
            return self.random.randint(0, height + 2)
        below = [at for speaker, at in recount.said if speaker == who and at < height]
        elsewhere = [recount.height - 1] if self.random.random() < 0.05 else []
        return max([*below, *(at for at in elsewhere if at < height), 0])

    def decision(self, now: Electorate) -> Decision:
        random = self.random
        following = tuple(self.some_set().items()) if now.phase is None and random.random() < 0.2 else ()
        tags = ((random.choice(self.people), random.randbytes(16)),) if random.random() < 0.04 else ()
        return Decision(following, (), tags)


def _reason(call: object, *arguments: object) -> Reason | None:
    try:
        call(*arguments)  # type: ignore[operator]
    except Refused as refused:
        return refused.reason
    return None


def phase_of(now: Electorate) -> tuple[str, int, Weights] | None:
    match now.phase:
        case Gate(since, following):
            return "gate", since, dict(following.weights)
        case Joint(since, following):
            return "joint", since, dict(following.weights)
    return None


seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 45))
@settings(deadline=None, max_examples=150)
def test_votes_are_those_of_the_other_counter(seed: int, blocks: int) -> None:
    forest = Forest(seed)
    for _ in range(blocks):
        branch = forest.grow()
        votes, recount = branch.votes, branch.recount
        assert (votes.height, votes.mhp, votes.mhpc) == (recount.height, recount.mhp, recount.mhpc)
        assert [row.height for row in votes.rows] == list(recount.window())[::-1]
        for row in votes.rows:
            assert row.prevotes == recount.weight(recount.prevotes, row.height)
            assert row.precommits == recount.weight(recount.precommits, row.height)
            assert row.said == {who: mhg for (who, at), mhg in recount.said.items() if at == row.height}
        now = votes.electorate
        assert (now.start, dict(now.current.weights), phase_of(now)) == (recount.start, recount.current, recount.phase)


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_on_a_branch_the_prevoted_and_the_final_height_never_fall(seed: int) -> None:
    forest = Forest(seed)
    for _ in range(40):
        forest.grow()
    for branch in forest.branches:
        heights = [(each.mhps[at], each.mhpcs[at]) for each in (branch.recount,) for at in sorted(each.mhpcs)]
        assert heights == sorted(heights)
        assert all(before[1] <= after[1] for before, after in itertools.pairwise(heights))
        assert branch.votes.mhpc <= branch.votes.mhp


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_a_snapshot_brings_back_the_same_state(seed: int) -> None:
    forest = Forest(seed)
    for _ in range(30):
        votes = forest.grow().votes
        encoded = encode_votes(votes)
        assert decode_votes(encoded) == votes
        assert encode_votes(decode_votes(encoded)) == encoded


def counted_from(base: int, branch: Branch, electorates: dict[int, Electorate]) -> Votes:
    """A branch counted by who knows nothing of what was said up to ``base``."""
    votes = Votes.start(electorates[base + 1], branch.votes.batch, base, blind=True)
    for made in branch.blocks[base:]:
        count = votes.open(votes.height + 1)
        for who, height, mhg in made.carried:
            if height > base:
                count.take(who, height, mhg)
        count.carried_all()
        count.speak(made.proposer, made.mhg)
        votes = count.close(made.id, made.decision)
    return votes


@given(seeds, st.integers(1, 40))
@settings(deadline=None, max_examples=100)
def test_counted_from_any_height_where_no_change_is_under_way_the_same_is_final(seed: int, blocks: int) -> None:
    forest = Forest(seed)
    for _ in range(blocks):
        branch = forest.grow()
    whole = Votes.genesis(tuple(branch.recount.sets[1][0].items()), branch.votes.batch)
    known = {1: whole.electorate}
    for made in branch.blocks:
        count = whole.open(whole.height + 1)
        for vote in made.carried:
            count.take(*vote)
        count.carried_all()
        count.speak(made.proposer, made.mhg)
        whole = count.close(made.id, made.decision)
        known[whole.height + 1] = whole.electorate
    for base in range(whole.height):
        if known[base + 1].phase is None:
            part = counted_from(base, branch, known)
            assert (part.mhp, part.mhpc) == (max(base, whole.mhp), max(base, whole.mhpc))
            assert part.electorate == whole.electorate


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_nobody_votes_twice_for_a_block(seed: int) -> None:
    """Why a validator that lies about ``mhg`` gains nothing: the lie contradicts what it said."""
    forest = Forest(seed)
    for _ in range(40):
        for row in forest.grow().votes.rows:
            for decides, prevotes, precommits in zip(row.electorate.sets, row.prevotes, row.precommits, strict=True):
                assert max(prevotes, precommits) <= sum(decides.by_key.values())


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
    tag: bytes = NO_TAG

    @property
    def speaker(self) -> bytes:
        return self.proposer


GENESIS = Block(id=b"genesis", parent=b"", height=0, slot=0, proposer=b"", mhg=0, mhp=0)


def contradicts(votes: Votes, block: Block) -> bool:
    count = votes.open(block.height)
    count.carried_all()
    return _reason(count.speak, block.proposer, block.mhg) is not None


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
        self.votes = {GENESIS.id: Votes.genesis(equal(count), batch=count)}
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
        assert not contradicts(self.votes[node.tip.id], block)
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
            if block.slot > parent.slot and not contradicts(self.votes[parent.id], block):
                self.record(block)
                for index in members:
                    self.send(block, index, slot)

    def make(self, parent: Block, leader: int, slot: int, mhg: int) -> Block:
        number = len(self.blocks).to_bytes(16, "big") + self.random.randbytes(16)
        return Block(number, parent.id, parent.height + 1, slot, key(leader), mhg, self.votes[parent.id].mhp)

    def record(self, block: Block) -> None:
        self.blocks[block.id] = block
        count = self.votes[block.parent].open(block.height)
        count.carried_all()
        count.speak(block.proposer, block.mhg)
        self.votes[block.id] = count.close(block.id, NOTHING_DECIDED)

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
