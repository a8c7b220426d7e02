"""A draft: changes tried one after another on top of a state that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chain.base.errors import FAULTS, Damaged
from chain.content.genesis import Genesis
from chain.register.entries import Clock, Entry, Record
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import CLOCK_KEY, RULES_KEY
from chain.register.view import Lookup

Changes = dict[bytes, tuple[bytes | None, bytes | None]]
"""Each changed key with its encoded entry before and after; None where there is none."""

_UNREAD: Any = object()


class Happening(NamedTuple):
    """What became of a record, for those who watch: ``record`` is as it was before."""

    what: str
    subject: bytes
    number: int
    record: Record


class Parent(NamedTuple):
    """The block that another one follows: its id and its slot."""

    id: bytes
    slot: int


class Draft(Lookup):
    """The block at ``height``, while it is made or checked.

    ``slot`` is its slot in registry time, by which all deadlines go; ``date_slot`` that of the calendar.  Without a
    ``parent`` no time has passed since.

    ``happenings`` tells what became of records in it, ``strangers`` how many enrolled without a registrar, ``faults``
    what could not be carried out for a fault of ours (:mod:`chain.register.fence`); none of these is part of the state.
    """

    def __init__(
        self, state: Mapping[bytes, bytes], genesis: Genesis, height: int, slot: int, parent: Parent | None = None
    ) -> None:
        super().__init__(genesis)
        self._state = state
        self._entries: dict[bytes, Entry | None] = {}
        self._written: dict[bytes, None] = {}
        self.parent = parent or Parent(bytes(32), slot)
        self.height = height
        self.date_slot = slot
        self.outage_slots = max(0, slot - self.parent.slot - genesis.idle_slots)
        self.slot = self._gone_slot = slot - self.lost_slots - self.outage_slots
        self._day: int | None = None
        self._slots: dict[int, int] = {}
        self.happenings: list[Happening] = []
        self.strangers = 0
        self.faults: list[str] = []
        self._journal: list[tuple[bytes, Entry | None, bool]] = []
        self.mark()

    def mark(self) -> None:
        """From here on :meth:`take_back` takes back what is done."""
        self._journal.clear()
        self._marked = len(self.happenings), self.strangers

    def take_back(self) -> None:
        """Let everything be as it was at the last :meth:`mark`."""
        for key, entry, was_written in reversed(self._journal):
            self._entries[key] = entry
            if not was_written:
                del self._written[key]
        happened, self.strangers = self._marked
        del self.happenings[happened:]
        self._forget_policy()
        self.mark()

    def begin(self) -> None:
        """Registry time stood still in an outage before this block."""
        if self.outage_slots:
            self.put(CLOCK_KEY, Clock(self.lost_slots + self.outage_slots))
            self.outage_slots = 0

    def date(self, slot: int) -> int:
        """A slot of registry time as one of the calendar, if no outage follows."""
        return slot + self.date_slot - self.slot

    def get(self, key: bytes) -> Any:
        """The entry as this draft sees it, or None; the key decides its type."""
        entry = self._entries.get(key, _UNREAD)
        if entry is _UNREAD:
            entry = self._entries[key] = self._read(key)
        return entry

    def _read(self, key: bytes) -> Entry | None:
        """An entry before this block.  Raises :class:`Damaged`: whatever goes wrong here does so on this machine."""
        try:
            value = self._state.get(key)
            return None if value is None else decode_entry(key, value)
        except FAULTS as error:
            raise Damaged(f"the entry {key.hex()} cannot be read ({error})") from error

    def put(self, key: bytes, entry: Entry | None) -> None:
        """Write an entry into the draft, or delete it with None."""
        self._journal.append((key, self._entries.get(key, _UNREAD), key in self._written))
        self._entries[key] = entry
        self._written[key] = None
        if key == RULES_KEY:
            self._forget_policy()

    @property
    def changes(self) -> Changes:
        """What this draft does to the state."""
        changes: Changes = {}
        for key in self._written:
            entry = self._entries[key]
            before, after = self._state.get(key), None if entry is None else encode_entry(entry)
            if before != after:
                changes[key] = before, after
        return changes

    def _forget_policy(self) -> None:
        self._policy = self._day = None
        self._slots.clear()

    @property
    def day(self) -> int:
        """Which day of the policy this block is in; a day ends for everybody at once."""
        if self._day is None:
            self._day = self.slot // self.slots(1)
        return self._day

    def slots(self, days: int) -> int:
        """A policy's days in slots of this network."""
        slots = self._slots.get(days)
        if slots is None:
            slots = self._slots[days] = self.policy.slots(days, self.genesis.slot_ms)
        return slots
