"""The drills of ``scripts/docs/recovery.md`` that need no process: what is lost, and in how many slots blocks are final
again.

Nodes of four validators whose slots take a second; a client enrols a member every slot.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import count

import pytest

from chain.electorate import GATE_BLOCKS, Gate
from chain.production import is_forgotten, said_by
from chain.proposals import ReplaceValidator
from chain.restart import Restart
from chain.stall import stall_of
from chain.transactions import Approve, Consent, Enrol, Propose, VerifiedTransaction
from scripts.simulation.disk import Disk
from tests.support.world import Actor, Host, World, secret

# Each drill's, and a little more: what is promised, not what was measured.
SOON = 20


class Drill:
    """A busy network of four."""

    def __init__(self, seed: int, validators: int = 4) -> None:
        self.world = World(validators, seed=seed)
        self.hosts = self.world.hosts
        self._numbers = count(1_000)
        self.run(20)

    def run(self, slots: int) -> None:
        """Let slots pass, in each of which somebody enrols."""
        for _ in range(slots):
            at = next(number for number, host in enumerate(self.hosts) if host.is_up)
            self.world.submit(at, [Actor(self.world.genesis, next(self._numbers)).sign(Enrol(), 50_000)])
            self.world.run(1)

    def submit(self, transaction: VerifiedTransaction) -> None:
        """Hand a transaction to the first node, which takes it."""
        assert self.world.submit(0, [transaction]) == (None,)

    def until_final(self, slots: int = SOON) -> int:
        """In how many slots a block made from now on is final at all that run."""
        height = max(host.height for host in self.hosts if host.is_up)
        for passed in range(1, slots + 1):
            self.run(1)
            if all(host.final_height > height for host in self.hosts if host.is_up):
                return passed
        raise AssertionError(f"nothing is final after {slots} slots: {[host.final_height for host in self.hosts]}")

    def until_all_speak(self, slots: int = 40) -> int:
        """In how many slots every validator said something about blocks made from now on."""
        height = max(host.height for host in self.hosts if host.is_up)
        for passed in range(1, slots + 1):
            self.run(1)
            chain = self.hosts[0].engine.chain
            spoke = {speaker for row in chain.head.votes.rows if row.height > height for speaker in row.said}
            if spoke == set(chain.electorate.leaders):
                return passed
        raise AssertionError("not all speak")

    def lose_disk(self, *numbers: int) -> None:
        """These disks are gone; their homes are made anew, and their nodes started."""
        for number in numbers:
            host = self.hosts[number]
            if host.is_up:
                host.crash()
            host.forget_signing(wipe=True)
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
        host.disk.restart = restart.signed(host.key, self.world.genesis.id)
        host.disk.signing = None
        host.start()
        return host.disk.restart

    def check_nobody_is_to_blame(self) -> None:
        """Nobody is jailed, blamed or seen to contradict itself, and all agree."""
        self.world.check_agreement()
        for host in self.hosts:
            assert not host.penalties
            assert not host.equivocations
            assert not any(seat.is_jailed for seat in host.engine.chain.ledger.validators.active)


def speaks(host: Host) -> bool:
    """Whether a node has a signing state to speak from."""
    producer = host.engine.producer
    return producer is not None and producer.signing is not None and not producer.is_stopped


def test_one_disk() -> None:
    # given one validator of four whose disk is gone
    drill = Drill(seed=1)
    drill.lose_disk(3)

    # then the others go on, it renews its tag by itself, and speaks again
    assert drill.until_final() <= 5
    print("one disk: all speak after", drill.until_all_speak())
    assert speaks(drill.hosts[3])
    drill.check_nobody_is_to_blame()


def test_as_many_disks_as_are_tolerated() -> None:
    # given two of seven, at once
    drill = Drill(seed=2, validators=7)
    drill.lose_disk(5, 6)
    print("f disks: final after", drill.until_final(), "all speak after", drill.until_all_speak(60))
    assert all(map(speaks, drill.hosts))
    drill.check_nobody_is_to_blame()


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_a_backup_that_is_restored(starts: int) -> None:
    # given a home that is put back to what it was, after it went on, and started a few times
    drill = Drill(seed=3)
    backup = deepcopy(drill.hosts[2].disk)
    drill.run(20)
    drill.restore(2, backup)
    for _ in range(starts - 1):
        drill.run(6)
        drill.hosts[2].crash()
        drill.hosts[2].start()

    # then it stops at what it sees itself have said, and once it is started again it speaks anew
    drill.run(12)
    if starts == 1:
        assert drill.hosts[2].engine.producer is not None
        assert drill.hosts[2].engine.producer.is_stopped
        assert any(notice.startswith("key_used_elsewhere") for notice in drill.hosts[2].notices)
    else:
        drill.until_all_speak()
        assert speaks(drill.hosts[2])
    drill.check_nobody_is_to_blame()


def test_more_disks_than_are_tolerated() -> None:
    # given two of four
    drill = Drill(seed=4)
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
    print("restart of 2 of 4: final after", drill.until_final(), "all speak after", drill.until_all_speak())
    assert all(map(speaks, drill.hosts))
    assert all(host.final_height > restart.height for host in drill.hosts)
    assert stall_of(drill.hosts[0].engine.chain) is None
    drill.check_nobody_is_to_blame()


def test_all_disks_but_one() -> None:
    # given a single home with the chain
    drill = Drill(seed=5)
    drill.lose_disk(0, 1, 2)
    drill.run(10)
    height = drill.hosts[3].height
    assert all(host.height == height for host in drill.hosts), "the others have it from the one"

    # when it begins a restart, and two of the others sign
    restart = drill.sign(0, drill.sign(1, drill.sign(3)))
    print("restart of 3 of 4: final after", drill.until_final(), "all speak after", drill.until_all_speak())
    assert all(host.finalized[restart.height] == restart.tip for host in drill.hosts)
    drill.check_nobody_is_to_blame()


def test_all_disks() -> None:
    # given nothing but keys and the genesis: people may begin anew from there
    drill = Drill(seed=6)
    for host in drill.hosts:
        host.crash()
    drill.lose_disk(0, 1, 2, 3)
    restart = drill.sign(0, drill.sign(1, drill.sign(2)))
    assert restart.height == 0
    drill.until_final()
    drill.check_nobody_is_to_blame()


def test_whoever_signed_says_nothing_until_the_restart_came() -> None:
    # given a network that does not need one
    drill = Drill(seed=7)
    restart = drill.sign(0)
    signed = dict(drill.hosts[0].signed)
    drill.run(3)
    assert drill.hosts[0].signed == signed

    # then, as the others make more final without it, it speaks again, and the restart can never come
    drill.until_all_speak()
    assert drill.hosts[0].final_height > restart.height
    drill.check_nobody_is_to_blame()


def test_a_signed_restart_that_is_lost_with_its_disk_gives_no_voice() -> None:
    # given a validator that signed a restart, and has spoken from it since
    drill = Drill(seed=8)
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


def test_a_set_of_which_more_than_are_tolerated_never_came() -> None:
    # given two validators that are to hand their seats over to keys whose nodes nobody ever starts
    drill = Drill(seed=9)
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


def test_what_blocks_hold_of_a_validator_counts_as_said() -> None:
    # given a chain: what its blocks hold of a validator is no more than its signing state knows
    drill = Drill(seed=10)
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
