"""The drills of ``scripts/docs/recovery.md`` that need no process: what is lost, and in how many slots blocks are final
again.

Nodes of four validators whose slots take a second; a client enrols a member every slot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chain.branches.stall import stall_of
from chain.consensus.electorate import GATE_BLOCKS, Gate
from chain.consensus.restart import Restart
from chain.content.actions import Approve, Consent, Enrol, Lost, Propose
from chain.content.proposals import ReplaceValidator
from chain.content.transactions import VerifiedTransaction
from chain.protocol.production import is_forgotten, said_by
from scripts.simulation.disk import Disk
from scripts.simulation.wire import announcement_of
from tests.scenarios.crafting import announce, attest, branch_of, craft, next_slot
from tests.support.world import Actor, Host, World, secret

PAGE = Path(__file__).parents[2] / "scripts" / "docs" / "recovery.md"
# Of each row of its table: within how many slots blocks are final and all validators speak again, and its drill here.
_ROW = re.compile(r"^\|.*\| (\d+) \| (\d+) \|.*`(test_\w+)` \|$", re.MULTILINE)
PROMISED = {drill: (int(final), int(whole)) for final, whole, drill in _ROW.findall(PAGE.read_text(encoding="utf-8"))}


class Drill:
    """A busy network of four."""

    def __init__(self, seed: int, validators: int = 4, slots: int = 20, **genesis: Any) -> None:
        self.world = World(validators, seed=seed, **genesis)
        self.hosts = self.world.hosts
        self._numbers = count(1_000)
        self.run(slots)

    def run(self, slots: int) -> None:
        """Let slots pass, in each of which somebody enrols."""
        for _ in range(slots):
            at = next(number for number, host in enumerate(self.hosts) if host.is_up)
            self.world.submit(at, [Actor(self.world.genesis, next(self._numbers)).sign(Enrol(), 50_000)])
            self.world.run(1)

    def submit(self, transaction: VerifiedTransaction) -> None:
        """Hand a transaction to the first node, which takes it."""
        assert self.world.submit(0, [transaction]) == (None,)

    def until_final(self, slots: int = 40) -> int:
        """In how many slots a block made from now on is final at all that run."""
        return self._until(lambda height: all(host.final_height > height for host in self._running), slots)

    def until_all_speak(self, slots: int = 80) -> int:
        """In how many slots every validator said something about blocks made from now on."""
        return self._until(self._all_spoke_above, slots)

    def until_whole(self) -> tuple[int, int]:
        """In how many slots blocks are final, and all validators speak, from now on."""
        final = self.until_final()
        return final, final + self.until_all_speak()

    def _until(self, done: Callable[[int], bool], slots: int) -> int:
        height = max(host.height for host in self._running)
        for passed in range(1, slots + 1):
            self.run(1)
            if done(height):
                return passed
        raise AssertionError(f"not within {slots} slots: {[(host.height, host.final_height) for host in self.hosts]}")

    def _all_spoke_above(self, height: int) -> bool:
        chain = self._running[0].engine.chain
        spoke = {speaker for row in chain.head.votes.rows if row.height > height for speaker in row.said}
        return spoke == set(chain.electorate.leaders)

    @property
    def _running(self) -> list[Host]:
        return [host for host in self.hosts if host.is_up]

    def lose_disk(self, *numbers: int) -> None:
        """These disks are gone; their homes are made anew, and their nodes started."""
        for number in numbers:
            host = self.hosts[number]
            if host.is_up:
                host.crash()
            host.disk = host.disk.replacement()
            host.finalized = {}
        self.world.run(2)
        for number in numbers:
            self.hosts[number].start()

    def restore(self, number: int, disk: Disk) -> None:
        """An old copy takes the place of a home."""
        host = self.hosts[number]
        host.crash()
        host.disk = disk
        host.finalized = {at: key for at, key in host.finalized.items() if at <= disk.finalized}
        host.start()

    def sign(self, number: int, restart: Restart | None = None) -> Restart:
        """What ``node.py restart sign`` does to a home, whose node is stopped for it."""
        host = self.hosts[number]
        head = host.engine.chain.head.header
        host.crash("to sign a restart")
        assert host.key is not None
        restart = Restart(head.id, head.height, b"s" * 16) if restart is None else restart
        signed = restart.signed(host.key, self.world.genesis.id)
        host.disk.sign_restart(signed)
        host.start()
        return signed

    def check_nobody_is_to_blame(self) -> None:
        """Nobody is jailed, blamed or seen to contradict itself, and all agree."""
        self.world.check_agreement()
        for host in self.hosts:
            assert not host.penalties
            assert not host.equivocations
            assert not any(seat.is_jailed for seat in host.engine.chain.ledger.validators.active)


@pytest.fixture(params=[1, 2])
def seed(request: pytest.FixtureRequest) -> int:
    """What differs between two runs of a drill."""
    seed: int = request.param
    return seed


@pytest.fixture
def drill(seed: int) -> Drill:
    """Four validators, with clients."""
    return Drill(seed)


@pytest.fixture
def promised(request: pytest.FixtureRequest) -> tuple[int, int]:
    """What the page says of this drill."""
    return PROMISED[request.function.__name__]


def speaks(host: Host) -> bool:
    """Whether a node has a signing state to speak from."""
    producer = host.engine.producer
    return producer is not None and producer.signing is not None and not producer.is_stopped


def keeps(measured: tuple[int, int], promised: tuple[int, int]) -> None:
    """What was measured is no more than the page says."""
    print("measured", measured, "promised", promised)
    assert measured[0] <= promised[0]
    assert measured[1] <= promised[1]


def test_one_disk(drill: Drill, promised: tuple[int, int]) -> None:
    # given one validator of four whose disk is gone
    drill.lose_disk(3)

    # then the others go on, it renews its tag by itself, and speaks again
    keeps(drill.until_whole(), promised)
    assert speaks(drill.hosts[3])
    drill.check_nobody_is_to_blame()


def test_as_many_disks_as_are_tolerated(seed: int, promised: tuple[int, int]) -> None:
    # given two of seven, at once
    drill = Drill(seed, validators=7)
    drill.lose_disk(5, 6)
    keeps(drill.until_whole(), promised)
    assert all(map(speaks, drill.hosts))
    drill.check_nobody_is_to_blame()


def test_one_disk_after_a_long_time_on_the_smaller_side_of_a_cut() -> None:
    # given two of seven who were cut off and spoke up to heights that the others never reached
    drill = Drill(1, validators=7)
    drill.world.cut({0, 1}, {2, 3, 4, 5, 6})
    drill.run(150)
    small, large = drill.hosts[0], drill.hosts[2]
    assert small.height > large.height > small.final_height

    # when one of them loses its disk, and the cut is healed
    small.crash()
    drill.world.heal()
    drill.lose_disk(0)

    # then it speaks again, against nothing that it ever said
    drill.until_whole()
    assert speaks(small)
    drill.check_nobody_is_to_blame()


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_a_restored_backup(drill: Drill, promised: tuple[int, int], starts: int) -> None:
    # given a home that is put back to what it was, after it went on
    backup = deepcopy(drill.hosts[2].disk)
    drill.run(20)
    drill.restore(2, backup)

    # when it sees what it said itself, it waits whether anybody else speaks; or its operator starts it again
    for _ in range(starts - 1):
        drill.run(4)
        drill.hosts[2].crash()
        drill.hosts[2].start()

    # then it speaks anew
    keeps(drill.until_whole(), promised)
    assert speaks(drill.hosts[2])
    assert any(notice.startswith("key_used_elsewhere") for notice in drill.hosts[2].notices)
    drill.check_nobody_is_to_blame()


def test_a_backup_from_before_a_disk_was_lost(drill: Drill) -> None:
    # given a home whose disk was lost while its node was stopped, so that it started anew
    host = drill.hosts[2]
    host.crash()
    backup = deepcopy(host.disk)
    drill.lose_disk(2)
    drill.until_whole()

    # when what it was before is put back, which knows all that was said from the old signing state
    drill.restore(2, backup)

    # then it speaks anew, by itself
    drill.until_whole()
    assert speaks(host)
    drill.check_nobody_is_to_blame()


def test_more_disks_than_are_tolerated(drill: Drill, promised: tuple[int, int]) -> None:
    # given two of four
    drill.lose_disk(2, 3)
    final = drill.hosts[0].final_height
    drill.run(40)

    # then nothing new is final, and every node can say for want of whom
    assert drill.hosts[0].final_height <= final + 3
    stall = stall_of(drill.hosts[0].engine.chain)
    assert stall is not None
    assert (stall.heard, stall.needed) == (2, 3)
    assert set(stall.missing) == {secret(3).public, secret(4).public}

    # when three sign a restart one after the other, in any order
    restart = drill.sign(0)
    drill.run(3)
    restart = drill.sign(2, restart)
    drill.run(3)
    drill.sign(3, restart)

    # then the chain goes on, for the one that signed nothing, too
    keeps(drill.until_whole(), promised)
    assert all(map(speaks, drill.hosts))
    assert all(host.final_height > restart.height for host in drill.hosts)
    assert stall_of(drill.hosts[0].engine.chain) is None
    drill.check_nobody_is_to_blame()


def test_all_disks_but_one(drill: Drill, promised: tuple[int, int]) -> None:
    # given a single home with the chain
    drill.lose_disk(0, 1, 2)
    drill.run(10)
    height = drill.hosts[3].height
    assert all(host.height == height for host in drill.hosts), "the others have it from the one"

    # when it begins a restart, and two of the others sign
    restart = drill.sign(0, drill.sign(1, drill.sign(3)))
    keeps(drill.until_whole(), promised)
    assert all(host.finalized[restart.height] == restart.tip for host in drill.hosts)
    drill.check_nobody_is_to_blame()


def test_all_disks(seed: int, promised: tuple[int, int]) -> None:
    # given nothing but keys, with which people found another network, and somebody who kept the old chain
    old, drill = Drill(seed), Drill(seed, slots=0, name="another")
    kept = old.hosts[0].disk.main.values()
    for block in kept:
        for host in drill.hosts:
            host.hear("stranger", announcement_of(block))

    # then all of it is new, and nothing that was said in the old one counts
    keeps(drill.until_whole(), promised)
    assert not {block.id for block in kept} & set(drill.hosts[0].finalized.values())
    assert {peer for host in drill.hosts for peer, _ in host.penalties} <= {"stranger"}
    drill.world.check_agreement()


def test_a_restart_takes_hold_also_of_those_whose_chain_became_longer(seed: int) -> None:
    # given four, two of whom follow what one of them made alone after a block that all have; no block of it is prevoted
    drill = Drill(seed, slots=4)
    hosts, world = drill.hosts, drill.world
    world.run(1)
    assert world.agree()
    tip = hosts[0].engine.chain.head.header
    world.cut({0}, {1}, {2, 3})
    hosts[2].engine_key, key = None, hosts[2].engine_key
    hosts[2].crash()
    hosts[2].start()
    for number in range(40):
        world.submit(3, [Actor(world.genesis, 2_000 + number).sign(Enrol(), 50_000)])
        world.run(1)
    hosts[2].engine_key = key
    assert hosts[2].height == hosts[3].height > tip.height + 8 > hosts[1].height

    # when the first three sign that the chain goes on from there, one makes the block, and all can talk again
    drill.sign(1, drill.sign(0, drill.sign(2, Restart(tip.id, tip.height, b"s" * 16))))
    world.run_until(lambda: hosts[1].engine.chain.head.votes.restart > 0, 100)
    world.heal()

    # then all have it soon, however long the other branch is
    world.run_until(lambda: all(host.final_height > tip.height for host in hosts), 12)
    drill.check_nobody_is_to_blame()


def test_a_restart_that_is_outdone_by_what_was_forgotten_gives_way_to_another(seed: int) -> None:
    # given three that attested two blocks more than an observer has, and lost their disks; then they sign a restart
    drill = Drill(seed, observers=1)
    hosts, world = drill.hosts, drill.world
    assert world.agree()
    hosts[3].crash()
    branch = branch_of(hosts[0])
    tip = branch[-1].header
    for leader in (3, 0):
        said = [
            attest(world, branch[-1], each)
            for each in range(3)
            if secret(each + 1).public != branch[-1].header.proposer
        ]
        slot, mhg = next_slot(world, leader, branch[-1].header.slot), branch[-1].header.height
        branch.append(craft(world, branch, slot, carrying=said, mhg=mhg))
    drill.lose_disk(0, 1, 2)
    drill.run(10)
    assert {host.height for host in hosts[:3]} == {tip.height}
    drill.sign(1, drill.sign(0, drill.sign(2, Restart(tip.id, tip.height, b"s" * 16))))

    # when what they forgot comes before the restart is final
    for block in branch[-2:]:
        for host in hosts[:3]:
            announce(host, block)
    drill.run(20)

    # then who waits for it says that it has to be another one, and with that the chain goes on
    outdone = [host for host in hosts[:3] if host.head_id == branch[-1].id]
    assert len(outdone) == 2
    assert all("sign another" in str(host.engine.silence(host.now_ms)) for host in outdone)
    again = Restart(branch[-1].id, branch[-1].header.height, b"t" * 16)
    for number in range(3):
        again = drill.sign(number, again)
    world.run_until(lambda: all(host.final_height > again.height for host in hosts[:3]), 20)
    assert not any(host.equivocations for host in hosts[:3])
    world.check_agreement()


def test_whoever_signed_says_nothing_until_the_restart_came(drill: Drill) -> None:
    # given a network that does not need one
    restart = drill.sign(0)
    signed = dict(drill.hosts[0].signed)
    drill.run(3)
    assert drill.hosts[0].signed == signed

    # then, as the others make more final without it, it speaks again, and the restart can never come
    drill.until_all_speak()
    assert drill.hosts[0].final_height > restart.height
    drill.check_nobody_is_to_blame()


def test_a_signed_restart_that_is_lost_with_its_disk_gives_no_voice(drill: Drill) -> None:
    # given a validator that signed a restart, and has spoken from it since
    drill.lose_disk(2, 3)
    drill.run(30)
    restart = drill.sign(2, drill.sign(1, drill.sign(0)))
    drill.until_final()
    old = drill.hosts[2].disk.restart
    drill.run(10)

    # when its disk is put back to where it had just signed
    drill.lose_disk(2)
    drill.hosts[2].crash()
    drill.hosts[2].disk.restart = old
    drill.hosts[2].start()

    # then it learns that it spoke, and speaks from another signing state
    drill.until_all_speak()
    signing = drill.hosts[2].disk.signing
    assert signing is not None
    assert signing.tag != restart.tag(secret(3).public)
    assert drill.hosts[2].disk.restart is None
    drill.check_nobody_is_to_blame()


def test_a_loss_that_an_earlier_start_reported(drill: Drill) -> None:
    # given a validator that lost its signing state, and says so, and is stopped before the chain holds that
    drill.lose_disk(3)
    host = drill.hosts[3]
    while not any(isinstance(item.action, Lost) for item in host.engine.mempool):
        drill.world.run_ms(10)
    waiting = tuple(host.engine.mempool)

    # when it starts again, with another tag, while what it said is still on its way
    host.crash()
    host.start()
    host.submit(waiting)

    # then it speaks again
    drill.until_whole()
    assert speaks(host)
    drill.check_nobody_is_to_blame()


def test_a_set_of_which_more_than_are_tolerated_never_came(drill: Drill) -> None:
    # given two validators that are to hand their seats over to keys whose nodes nobody ever starts
    validators = [Actor(drill.world.genesis, number) for number in (1, 2, 3, 4)]
    before = drill.hosts[0].engine.chain.electorate.current
    for number, (old, new) in enumerate(((3, 103), (4, 104))):
        proposal = ReplaceValidator(secret(old).public, secret(new).public)
        drill.submit(validators[0].sign(Propose(proposal)))
        drill.run(4)
        drill.submit(validators[1].sign(Approve(number)))
        drill.submit(validators[2].sign(Approve(number)))
        drill.submit(Actor(drill.world.genesis, new).sign(Consent(number)))
        drill.run(4)
    chain = drill.hosts[0].engine.chain
    assert isinstance(chain.electorate.phase, Gate)
    assert len(chain.ledger.validators.queue) == 1

    # then blocks are final all the while, and each change lapses in its turn: the set stays as it was
    for _ in range(2):
        decided = drill.hosts[0].engine.chain.ledger.validators.decided_height
        while drill.hosts[0].engine.chain.ledger.validators.decided_height == decided:
            drill.run(1)
            assert drill.hosts[0].height - drill.hosts[0].final_height <= 4
        assert drill.hosts[0].height - decided <= GATE_BLOCKS + 2
    chain = drill.hosts[0].engine.chain
    assert not chain.ledger.validators.is_changing
    assert chain.electorate.current == before
    drill.check_nobody_is_to_blame()


def test_what_blocks_hold_of_a_validator_counts_as_said(drill: Drill) -> None:
    # given a chain: what its blocks hold of a validator is no more than its signing state knows
    host = drill.hosts[1]
    assert host.key is not None
    said = list(said_by(host.key.public, host.engine.chain))
    assert said
    assert host.disk.signing is not None
    assert not any(is_forgotten(statement, host.disk.signing) for statement in said)

    # so a signing state of before is known to be one
    highest = max(said, key=lambda statement: (statement.mhp, statement.height))
    older = replace(host.disk.signing, last_mhp=highest.mhp, last_height=highest.height - 1)
    assert any(is_forgotten(statement, older) for statement in said)
