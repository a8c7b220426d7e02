"""A state to look at: its entries by their names, wherever they are kept, and no way to write any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.keys import did_from_key
from chain.content.genesis import Genesis
from chain.content.policy import Policy
from chain.content.policyfile import decode_policy
from chain.register.entries import Account, Authority, Clock, Docket, Entry, Member, Motion, PolicyText, Roll, Rules
from chain.register.state import decode_entry
from chain.register.statekeys import (
    CLOCK_KEY,
    DOCKET_KEY,
    ROLL_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    authority_key,
    member_key,
    motion_key,
    policy_key,
)
from chain.register.validators import Validators

_T = TypeVar("_T")

# A node meets few policies: the one in force, an announced one, and those of branches.
read_policy_text = lru_cache(maxsize=16)(decode_policy)


class Lookup(ABC):
    """The entries of a state by their names; :meth:`get` says where they come from.

    Raises :class:`InvariantBroken` where one is missing that every state has, or is no entry at all.
    """

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self._policy: Policy | None = None
        # Up to here whoever leaves is gone, though there still; to who only looks nobody is before all is forgotten.
        self._gone_slot = -1

    @abstractmethod
    def get(self, key: bytes) -> Any:
        """The entry under a state key, or None; the key decides its type."""

    def account(self, key: bytes) -> Account | None:
        """The account of a public key."""
        account: Account | None = self.get(account_key(key))
        return account

    def identity(self, key: bytes) -> bytes:
        """Whose key this is: itself, but for those who moved to another key."""
        account = self.account(key)
        return account.identity or key if account is not None else key

    def current_key(self, identity: bytes) -> bytes:
        """The key that a member or an authority has now; that of others is their identity."""
        entry: Member | Authority | None = self.get(member_key(identity)) or self.get(authority_key(identity))
        return identity if entry is None else entry.key

    def member(self, key: bytes) -> tuple[bytes, Member]:
        """A member by any key it ever had: its identity and its entry.  Raises ``NOT_ENROLLED``."""
        identity = key
        member: Member | None = self.get(member_key(key))
        if member is None:  # a stranger, or a key that a member moved to
            identity = self.identity(key)
            member = self.get(member_key(identity))
        if member is None:
            raise Refused(Reason.NOT_ENROLLED, f"{did_from_key(key)} is not enrolled")
        if 0 < member.leaves_slot <= self._gone_slot:
            raise Refused(Reason.NOT_ENROLLED, "this member has left; the next blocks forget it")
        return identity, member

    def authority(self, identity: bytes) -> Authority | None:
        """An authority by its identity."""
        authority: Authority | None = self.get(authority_key(identity))
        return authority

    def motion(self, number: int) -> Motion:
        """A motion.  Raises ``UNKNOWN_MOTION``."""
        motion: Motion | None = self.get(motion_key(number))
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
            self._policy = self._read_policy(self.rules.version)
        return self._policy

    @property
    def announced_policy(self) -> Policy | None:
        """The policy that comes into force next, if one is announced."""
        version = self.rules.next_version
        return self.policy_of(version) if version else None

    def policy_of(self, version: int) -> Policy:
        """A policy that is, was, or will be in force.  Raises :class:`InvariantBroken` for any other."""
        return self.policy if version == self.policy.version else self._read_policy(version)

    def _read_policy(self, version: int) -> Policy:
        return read_policy_text(self._always(policy_key(version), PolicyText).document)

    def policy_at(self, slot: int) -> Policy:
        """The policy that was in force in a slot of the calendar; the first one for what is older."""
        return self._newest_policy(lambda text: text.from_slot <= slot)

    def policy_at_height(self, height: int) -> Policy:
        """The policy that was in force in the block at a height."""
        return self._newest_policy(lambda text: text.from_height <= height)

    def _newest_policy(self, was_in_force: Callable[[PolicyText], bool]) -> Policy:
        last, first = self.policy.version, self.genesis.policy.version
        while first < last:
            middle = (first + last + 1) // 2
            if was_in_force(self._always(policy_key(middle), PolicyText)):
                first = middle
            else:
                last = middle - 1
        return self.policy_of(first)

    @property
    def lost_slots(self) -> int:
        """How far registry time is behind the calendar."""
        clock: Clock | None = self.get(CLOCK_KEY)
        return 0 if clock is None else clock.lost_slots

    @property
    def roll(self) -> Roll:
        """Who may be drawn as an arbiter."""
        return self._always(ROLL_KEY, Roll)

    @property
    def validators(self) -> Validators:
        """Who makes blocks."""
        return self._always(VALIDATORS_KEY, Validators)

    @property
    def docket(self) -> Docket:
        """Which motions are open."""
        return self._always(DOCKET_KEY, Docket)

    def _always(self, key: bytes, kind: type[_T]) -> _T:
        entry = self.get(key)
        if not isinstance(entry, kind):
            raise InvariantBroken(f"the state has no {kind.__name__}")
        return entry


class StateView(Lookup):
    """The state after the block at ``height``, to look at: :class:`MemoryView`, or on disk :mod:`chain.disk.reader`'s.

    ``slot`` is that of the newest block, in the calendar, from which the time that is left is counted; ``is_final``
    says whether the block at ``height`` is.
    """

    def __init__(self, genesis: Genesis, height: int, slot: int, *, is_final: bool) -> None:
        super().__init__(genesis)
        self.height = height
        self.slot = slot
        self.is_final = is_final

    def date(self, slot: int) -> int:
        """A slot of registry time as one of the calendar, if no outage follows."""
        return slot + self.lost_slots

    def entries(self, prefix: bytes, kind: type[_T]) -> Iterator[tuple[bytes, _T]]:
        """All entries, of one kind, whose state keys begin with ``prefix``, by key.

        Raises :class:`InvariantBroken` where one is of another kind.
        """
        for key, entry in self._under(prefix):
            if not isinstance(entry, kind):
                raise InvariantBroken(f"no {kind.__name__} under {key.hex()}")
            yield key, entry

    @abstractmethod
    def _under(self, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
        """The same, of whatever kinds they are."""


class MemoryView(StateView):
    """Over encoded entries by key, until they change: a ledger's state moves on."""

    def __init__(
        self, state: Mapping[bytes, bytes], genesis: Genesis, height: int, slot: int, *, is_final: bool = False
    ) -> None:
        super().__init__(genesis, height, slot, is_final=is_final)
        self._state = state

    def get(self, key: bytes) -> Any:
        """The entry under a state key, or None; the key decides its type."""
        value = self._state.get(key)
        return None if value is None else decode_entry(key, value)

    def _under(self, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
        """Looks at every key that there is: not for a running node, which has millions."""
        for key in sorted(key for key in self._state if key.startswith(prefix)):
            yield key, decode_entry(key, self._state[key])
