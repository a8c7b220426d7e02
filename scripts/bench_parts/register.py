"""A large register, made without a million signatures: a home as a node leaves it when it stops.

Some hundred members live by the rules of :mod:`chain.register.registry`; all others are their copies under other keys.
So every entry is one that the rules make, every explanation adds up, and what is held in memory while it is written is
a batch of entries.  Its one block, the first, has all of them for its state: what no transactions explain, and who
counts votes alone takes as it is, a follower of headers and whoever joins by the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

from chain.base.errors import OperatorError
from chain.base.merkle import EMPTY_ROOT
from chain.branches.blockchain import Settled
from chain.branches.ledger import Ledger
from chain.consensus.ballots import EMPTY
from chain.consensus.headers import VerifiedHeader, sign_header
from chain.consensus.judgement import judge
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from chain.register.state import encode_entry
from chain.register.statekeys import authority_key
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.bench_parts.mixed import AUTHORITIES, BLOCK_SLOTS, MAKER, SLOT_MS, Applier, found_ledger, secret_of

MAX_ORIGINALS = 500
# Of the records, one in so many is under objection.
OBJECTED_EVERY = 50
# Entries of a member: its account, itself, its ratings, records and sums.
_OF_MEMBERS = frozenset(b"nmrds")

_Mould = list[tuple[bytes, tuple[bytes, ...]]]
"""A member's entries of one kind, ascending: what follows its key in the state's key, and the entry around it."""


class Everybody(Sequence[bytes]):
    """The members of a register, of whom none is in memory."""

    def __init__(self, members: int) -> None:
        self._members = members

    def __len__(self) -> int:
        return self._members

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self._members:
            raise IndexError(number)  # by which Python knows the end
        return sha256(b"member %d" % number).digest()


class Register:
    """``members`` with ``records`` each, in memory as moulds alone.  Raises :class:`OperatorError`."""

    def __init__(self, members: int, records: int) -> None:
        originals = min(members, MAX_ORIGINALS)
        if members % originals:
            raise OperatorError(f"{members} members are not a multiple of {MAX_ORIGINALS}; ask for another number")
        self.ledger = _lived(originals, records)
        self.members = sorted(Everybody(members)[number] for number in range(members))
        # By kind, for each original.
        self._moulds: dict[bytes, list[_Mould]] = {bytes((kind,)): [] for kind in sorted(_OF_MEMBERS)}
        self._others: dict[bytes, bytes] = {}
        known = {secret_of(1_000 + number).public: number for number in range(originals)}
        for moulds in self._moulds.values():
            moulds += ([] for _ in known)
        for key, value in sorted(self.ledger.state.items()):
            original = known.get(key[1:33]) if key[0] in _OF_MEMBERS else None
            if original is None:
                self._others[key] = value
            else:
                self._moulds[key[:1]][original].append((key[33:], tuple(value.split(key[1:33]))))
        for identity in AUTHORITIES:  # each filed about all copies, too
            authority = self.ledger.view().authority(identity)
            if authority is not None:
                counted = authority._replace(filed=authority.filed * members // originals)
                self._others[authority_key(identity)] = encode_entry(counted)

    @property
    def entries(self) -> int:
        """How many entries there are in all."""
        moulds = [sum(map(len, moulds)) * self._copies for moulds in self._moulds.values()]
        return len(self._others) + sum(moulds)

    @property
    def _copies(self) -> int:
        return len(self.members) // len(self._moulds[b"m"])

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry of the state with its key, the few that are no member's first, then in the order of keys."""
        yield from self._others.items()
        for kind, moulds in self._moulds.items():
            for member, mould in zip(self.members, cycle(moulds)):
                prefix = kind + member
                for after, parts in mould:
                    yield prefix + after, member.join(parts)

    def write(self, home: Path, advance: Callable[[int], None] = lambda _: None, now_ms: int | None = None) -> None:
        """Make a home of it, which a node goes on with from ``now_ms``; its slots begin at 0 where that is None.

        ``advance`` is told of entries that are done, each twice.  Raises :class:`OperatorError` where one exists.
        """
        slot = (self.ledger.height + 1) * BLOCK_SLOTS
        genesis = self.ledger.genesis
        if now_ms is not None:
            genesis = replace(genesis, genesis_time_ms=now_ms - slot * SLOT_MS)
        create_home(home, genesis, MAKER.seed, HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0"))
        storage = Storage(home / DATABASE, genesis)
        header = _first(genesis, slot, storage.replace_state(self.rows(), advance))
        votes = judge(header, EMPTY, Votes.genesis(genesis.validators, genesis.batch), genesis.id)
        said = SigningState(slot=slot, mhg=1, last_mhp=header.mhp, last_height=1, last_id=header.id)
        commit = Commit(
            adopted=(Block(header, EMPTY, ()),),
            finalized_height=1,
            settled=Settled(header, votes, {}),
            signing=said,
        )
        storage.commit([commit])
        storage.close()


def _first(genesis: Genesis, slot: int, root: bytes) -> VerifiedHeader:
    return sign_header(
        MAKER,
        genesis.id,
        height=1,
        slot=slot,
        parent=genesis.id,
        tag=NO_TAG,
        mhg=0,
        mhp=0,
        votes_root=EMPTY.root,
        transaction_root=EMPTY_ROOT,
        state_root=root,
    )


def _lived(members: int, records: int) -> Ledger:
    """A ledger with so many members, about each of whom so many records were filed."""
    random = Random(1)
    ledger = found_ledger()
    subjects = [secret_of(1_000 + number).public for number in range(members)]
    applier = Applier(ledger, subjects)
    applier.enrol()
    categories = list(ledger.genesis.policy.categories.values())
    for _ in range(records):
        random.shuffle(subjects)
        applier.blocks([applier.file(subject, random.choice(categories)) for subject in subjects])
    filed = [(subject, number) for number in range(records) for subject in subjects]
    applier.blocks([applier.object_to(*record) for record in filed[::OBJECTED_EVERY]])
    return ledger
