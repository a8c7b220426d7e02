"""Whom a rushed history is about: few keys, mostly those that are busy, and those of who is half gone."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from chain.content.identities import ANNULMENTS, LEAVINGS, RECOVERIES, left_key
from chain.register.draft import Draft
from chain.register.statekeys import AUTHORITIES, MEMBERS
from scripts.histories_parts.hand import key

# In most blocks so many keys do nearly all.
BUSY = 3
# What waits for a member, or says that its keys are being forgotten.
_HALF_GONE = (LEAVINGS, RECOVERIES, ANNULMENTS)


class RushedParties:
    """Chooses whose turn it is, from what a draft shows; few ``keys``, used again and again, by whom they come."""

    def __init__(self, random: Random, keys: list[bytes]) -> None:
        self.random = random
        self.keys = keys
        self.draft: Draft
        self._found: dict[bytes, list[bytes]] = {}
        self._hot: list[bytes] = []

    def begin(self, draft: Draft) -> None:
        """A block begins; in most of them a few keys are busy."""
        self.draft = draft
        self._hot = []
        self.look()
        if self.random.random() < 0.7:
            self._hot = [self.random.choice((self.member(), self.unused(), self.waiting())) for _ in range(BUSY)]

    def look(self) -> None:
        """See what there is now."""
        self._found = {}
        for entry in {**dict.fromkeys(self.draft._state), **self.draft._written}:
            if self.draft.get(entry) is not None:
                self._found.setdefault(entry[:1], []).append(entry[1:])

    def any_of(self, kind: bytes) -> bytes | None:
        """What one of the entries of a kind is about."""
        found = self._found.get(kind)
        return self.random.choice(found) if found else None

    def any_key(self) -> bytes:
        """A key, mostly one that is busy."""
        return self.random.choice(self._hot if self._hot and self.random.random() < 0.8 else self.keys)

    def unused(self) -> bytes:
        """A key that nobody has, as far as there is one, mostly of those that are busy; now and then any."""
        free = [each for each in self.keys if self.draft.account(each) is None and not self._has_left(each)]
        busy = [each for each in self._hot if each in free]
        chance = self.random.random()
        if busy and chance < 0.6:
            return self.random.choice(busy)
        if not free:
            free = [key(300 + len(self.keys))]
            self.keys += free
        return self.random.choice(free) if chance < 0.95 else self.any_key()

    def _has_left(self, key: bytes) -> bool:
        return self.draft.get(left_key(key)) is not None and self.random.random() < 0.9

    def waiting(self) -> bytes:
        """A key that a member is to move to, or one that is being forgotten, as far as there is any."""
        moves = [entry.key for entry in self._entries(RECOVERIES)]
        goes = [entry.cursor for entry in self._entries(LEAVINGS)]
        found = [each for each in (*moves, *goes) if each]
        return self.random.choice(found) if found else self.unused()

    def _entries(self, kind: bytes) -> Iterator[Any]:
        found = (self.draft.get(kind + who) for who in self._found.get(kind, ()))
        return (entry for entry in found if entry is not None)

    def who(self) -> bytes:
        """An identity, mostly one that is half gone."""
        chance = self.random.random()
        if chance > 0.5 and self.draft.get(MEMBERS + (busy := self.draft.identity(self.any_key()))) is not None:
            return busy
        found = self.any_of(self.random.choice(_HALF_GONE)) if chance < 0.3 else None
        return found or self.any_of(MEMBERS) or self.any_key()

    def now(self, who: bytes) -> bytes:
        """Its key; sometimes one that it had, or is to have."""
        chance = self.random.random()
        if chance < 0.06:
            return self.any_key()
        waiting = self.draft.get(RECOVERIES + who)
        return waiting.key or who if waiting is not None and chance < 0.12 else self.draft.current_key(who)

    def member(self) -> bytes:
        """The key of a member, mostly of one that is half gone."""
        return self.now(self.who())

    def office(self) -> bytes:
        """An authority, mostly one that is active."""
        offices = self._found.get(AUTHORITIES, ())
        active = [who for who in offices if not self.draft.get(AUTHORITIES + who).status]
        who = self.random.choice(active) if active and self.random.random() < 0.8 else self.any_of(AUTHORITIES)
        return self.draft.current_key(who or self.any_key())

    def validator(self) -> bytes:
        """The key of one that makes blocks."""
        return self.random.choice(self.draft.validators.active).key
