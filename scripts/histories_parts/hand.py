"""Whoever tries something in a random history: who there is, with which keys, and how often by mistake."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from random import Random
from typing import NamedTuple, TypeVar

from chain.base.keys import SecretKey
from chain.content.actions import Action
from chain.content.genesis import Genesis
from chain.content.identities import commitment_of
from chain.content.policy import Policy
from scripts.recount.lives import Record
from scripts.recount.rules import Recount

FOREVER = 2**64 - 1
T = TypeVar("T")


class Deed(NamedTuple):
    """An attempt by the holder of a key."""

    actor: bytes
    action: Action


@cache
def key(number: int) -> bytes:
    """The public key of somebody; nobody signs here, as signatures are checked before the registry."""
    return SecretKey(sha256(b"history %d" % number).digest()).public


@cache
def guardians_of(number: int) -> tuple[bytes, ...]:
    return tuple(sorted(key(60 + 10 * number + place) for place in range(3)))


@cache
def commitment_to(number: int) -> bytes:
    return commitment_of(2, guardians_of(number), bytes(16))


class Hand:
    """Who there is, as the recount knows them; ``_next`` are the deeds that follow at once."""

    _next: list[Deed]

    def __init__(self, random: Random, recount: Recount, genesis: Genesis) -> None:
        self.random = random
        self.recount = recount
        self.validators = [key for key, _ in genesis.validators]
        # By their documents: what amendments say.
        self._policies = {genesis.policy.encode(): genesis.policy}
        self.offices = [key(10 + number) for number in range(random.choice((3, 6, 6)))]
        self.members = [key(20 + number) for number in range(random.randint(2, 5))]
        self.everybody = [*self.validators, *self.offices, *self.members]
        self._fresh = 100
        self._evidence = 0
        self._invited: list[bytes] = []

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policies[self.recount.rules[self.recount.version]["document"]]

    def _now(self, identity: bytes) -> bytes:
        """The key of somebody today, sometimes an earlier one."""
        if self.random.random() < 0.03:
            return identity
        return self.recount.current.get(identity, identity)

    def _mostly(self, usual: T, *odd: T) -> T:
        return usual if self.random.random() < 0.93 else self.random.choice(odd)

    def _somebody(self) -> bytes:
        return self._now(self.random.choice(self.members))

    def _left_key(self) -> bytes:
        return self.random.choice(list(self.recount.successor) or self.members)

    def _new_key(self) -> bytes:
        self._fresh += 1
        return key(self._fresh)

    def _found(self, wanted: Callable[[Record], object]) -> tuple[bytes, int, Record] | None:
        records = [record for record in self.recount.all_records() if wanted(record) or self.random.random() < 0.05]
        if not records:
            return None
        record = self.random.choice(records)
        return self._now(record.subject), self._mostly(record.number, record.number + 1), record

    def _version(self) -> int:
        return self._mostly(self.policy.version, self.policy.version + 1, 0)

    def _validator(self) -> bytes:
        return self.random.choice(list(self.recount.weights))

    def _new_evidence(self) -> bytes:
        self._evidence += 1
        return self._evidence.to_bytes(32, "big")
