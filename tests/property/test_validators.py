"""Validators under any motions and offences, each change coming into force or lapsing: what it comes to, not how."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from chain.base.errors import Reason, Refused
from chain.consensus import electorate as phases
from chain.consensus.electorate import Electorate, ValidatorSet
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import VALIDATORS_KEY
from chain.register.validators import (
    ADD,
    JAIL,
    RELEASE,
    REMOVE,
    REPLACE,
    REWEIGH,
    Change,
    Validators,
    begin,
    decision,
    genesis_validators,
    request,
)
from tests.support.world import genesis_of, secret

KEYS = [secret(number).public for number in range(1, 6)]
ROOM = 4
HISTORIES, STEPS = 150, 20
MOTIONS = (ADD, REMOVE, RELEASE, RELEASE, REPLACE, REPLACE, REWEIGH)


class Network:
    """The validators as a block finds them, and the votes that lead their changes through the phases."""

    def __init__(self, validators: Validators, electorate: Electorate, height: int) -> None:
        self.validators, self.electorate, self.height = validators, electorate, height

    def next_block(self, *, all_speak: bool) -> None:
        """The block ends, and another begins; where not all speak, a gate stays closed, and nothing is final."""
        decided = decision(self.validators, self.electorate, self.height)
        spoke = self.electorate.speakers if all_speak else ()
        mhpc = self.height if all_speak else 0
        self.electorate = self.electorate.after(self.height, mhpc=mhpc, spoke=spoke, decision=decided)
        self.height += 1
        self.validators = begin(self.validators, self.electorate, height=self.height, batch=ROOM)

    def ask(self, change: Change) -> Reason | None:
        """Why a change is not granted, if it is not."""
        try:
            self.validators = request(self.validators, change, batch=ROOM, height=self.height)
        except Refused as error:
            return error.reason
        return None

    @property
    def makers(self) -> list[bytes]:
        """Who makes the next blocks."""
        told = decision(self.validators, self.electorate, self.height).barred
        barred = told[0] if told else self.electorate.barred
        return [key for key in self.electorate.leaders if key not in barred]

    def in_the_end(self, are_all_here: Iterable[bool]) -> Network:
        """What comes of all that waits, where in some of the next blocks all speak, and in all later ones."""
        later = Network(self.validators, self.electorate, self.height)
        for all_speak in are_all_here:
            later.next_block(all_speak=all_speak)
        while later.validators.is_changing:
            later.next_block(all_speak=True)
        return later

    def weight(self, key: bytes) -> int:
        """What a key weighs where blocks are decided now."""
        return self.electorate.current.by_key.get(key, 0)


def jail(network: Network, key: bytes, random: Random) -> Reason | None:
    """Ask for a jail; who is jailed makes no block from now on, and weighs nothing in the end, whatever lapses."""
    reason = network.ask(Change(JAIL, key))
    if reason is None:
        assert key not in network.makers
        assert network.in_the_end(random.choices((True, False), k=8)).weight(key) == 0
    return reason


def offend(network: Network, random: Random) -> None:
    """Who makes blocks contradicts itself: that is not punished yet, and jails it, unless nobody else would be left."""
    culprit = random.choice(network.makers)
    seat = network.validators.seat(culprit)
    assert seat is not None
    if seat.clean_height == network.height:  # this very block gave the seat back
        return
    assert (seat.is_jailed, seat.clean_height < network.height) == (0, True)
    reason = jail(network, culprit, random)
    assert reason in (None, Reason.NO_VALIDATOR_LEFT)
    assert reason is None or len(network.makers) == 1 or network.validators.is_changing


def move(network: Network, random: Random) -> None:
    """A motion is carried, if it makes sense."""
    kind, (key, other) = random.choice(MOTIONS), random.sample(KEYS, 2)
    network.ask(Change(kind, key, other if kind == REPLACE else b"", int(kind in (ADD, REWEIGH))))


def check(network: Network) -> None:
    """Somebody makes blocks, the register and the votes agree on who decides, and it is stored as it is."""
    validators, electorate = network.validators, network.electorate
    assert network.makers
    assert validators.voting == electorate.current.weights
    assert electorate.phase is None or validators.following == electorate.phase.following.weights
    assert decode_entry(VALIDATORS_KEY, encode_entry(validators)) == validators


def test_whatever_is_moved_and_lapses_who_broke_the_rules_is_out_and_somebody_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phases, "GATE_BLOCKS", 2)
    for seed in range(HISTORIES):
        random = Random(seed)
        validators = genesis_validators(genesis_of(random.randint(2, 3)))
        network = Network(validators, Electorate(1, ValidatorSet(validators.voting)), 1)
        for _ in range(STEPS):
            random.choice((offend, move, move))(network, random)
            all_speak = random.random() < 0.4
            for _ in range(random.randint(0, 3)):
                network.next_block(all_speak=all_speak)
            check(network)
        later = network.in_the_end(random.choices((True, False), k=12))
        weights = {seat.key: 0 if seat.is_jailed else seat.weight for seat in later.validators.active}
        assert dict(later.electorate.current.weights) == weights, seed
