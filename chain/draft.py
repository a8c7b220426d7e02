"""A draft: changes tried one after another on top of a state that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.policy import Policy, decode_policy
from chain.state import (
    DOCKET_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    Account,
    Authority,
    Docket,
    Entry,
    Member,
    Motion,
    PolicyText,
    Record,
    Rules,
    decode_entry,
    encode_entry,
    policy_key,
)
from chain.validators import Validators

Changes = dict[bytes, tuple[bytes | None, bytes | None]]
"""Each changed key with its encoded entry before and after; None where there is none."""

_T = TypeVar("_T")
_UNREAD: Any = object()

# A node meets few policies: the one in force, an announced one, and those of branches.
read_policy_text = lru_cache(maxsize=16)(decode_policy)


class Happening(NamedTuple):
    """What became of a record, for those who watch: ``record`` is as it was before."""

    what: str
    subject: bytes
    number: int
    record: Record


class Draft:
    """The block at ``height`` in ``slot``, while it is made or checked.

    ``happenings`` tells what became of records in it; it is no part of the state.
    """

    def __init__(self, state: Mapping[bytes, bytes], genesis: Genesis, height: int, slot: int) -> None:
        self._state = state
        self._entries: dict[bytes, Entry | None] = {}
        self._written: dict[bytes, None] = {}
        self._policy: Policy | None = None
        self.genesis = genesis
        self.height = height
        self.slot = slot
        self.happenings: list[Happening] = []

    def get(self, key: bytes) -> Any:
        """The entry as this draft sees it, or None; the key decides its type."""
        entry = self._entries.get(key, _UNREAD)
        if entry is _UNREAD:
            value = self._state.get(key)
            entry = self._entries[key] = None if value is None else decode_entry(key, value)
        return entry

    def put(self, key: bytes, entry: Entry | None) -> None:
        """Write an entry into the draft, or delete it with None."""
        self._entries[key] = entry
        self._written[key] = None
        if key == RULES_KEY:
            self._policy = None

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

    # ------------------------------------------------------------------------------------ the entries by their names

    def account(self, key: bytes) -> Account | None:
        """The account of a public key."""
        account: Account | None = self.get(b"n" + key)
        return account

    def identity(self, key: bytes) -> bytes:
        """Whose key this is: itself, but for those who moved to another key."""
        account: Account | None = self.get(b"n" + key)
        return account.identity or key if account is not None else key

    def member(self, key: bytes) -> tuple[bytes, Member]:
        """A member by any key it ever had: its identity and its entry.  Raises ``NOT_ENROLLED``."""
        identity = key
        member: Member | None = self.get(b"m" + key)
        if member is None:  # a stranger, or a key that a member moved to
            identity = self.identity(key)
            member = self.get(b"m" + identity)
        if member is None:
            raise Refused(Reason.NOT_ENROLLED, f"{key.hex()[:12]}… is not enrolled")
        return identity, member

    def authority(self, identity: bytes) -> Authority | None:
        """An authority by its identity."""
        authority: Authority | None = self.get(b"a" + identity)
        return authority

    def motion(self, number: int) -> Motion:
        """A motion.  Raises ``UNKNOWN_MOTION``."""
        motion: Motion | None = self.get(b"o" + number.to_bytes(4, "big"))
        if motion is None:
            raise Refused(Reason.UNKNOWN_MOTION, f"there is no motion {number}")
        return motion

    @property
    def rules(self) -> Rules:
        """Which policy is in force."""
        return self._always(RULES_KEY, Rules)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        if self._policy is None:
            self._policy = self.policy_of(self.rules.version)
        return self._policy

    def policy_of(self, version: int) -> Policy:
        """A policy that is, was, or will be in force."""
        return read_policy_text(self._always(policy_key(version), PolicyText).document)

    @property
    def validators(self) -> Validators:
        """Who makes blocks."""
        return self._always(VALIDATORS_KEY, Validators)

    @property
    def docket(self) -> Docket:
        """Which motions are open."""
        return self._always(DOCKET_KEY, Docket)

    def slots(self, days: int) -> int:
        """A policy's days in slots of this network."""
        return self.policy.slots(days, self.genesis.slot_ms)

    def _always(self, key: bytes, kind: type[_T]) -> _T:
        entry = self.get(key)
        if not isinstance(entry, kind):
            raise InvariantBroken(f"the state has no {kind.__name__}")
        return entry
