"""A large register, made without a million signatures: a home as a node leaves it when it stops.

Some hundred members live by the rules of :mod:`chain.registry`; all others are their copies under other keys.  So
every entry is one that the rules make, every explanation adds up, and what is held in memory while it is written is
a batch of entries.  The one block that is stored is the last, and final because we say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from random import Random

from chain.ballots import EMPTY
from chain.blockchain import Settled
from chain.blocks import Block
from chain.database import DATABASE
from chain.errors import OperatorError
from chain.events import Commit
from chain.headers import sign_header
from chain.ledger import Ledger
from chain.merkle import EMPTY_ROOT
from chain.state import encode_entry
from chain.statekeys import authority_key
from chain.statements import NO_TAG
from chain.storage import Storage
from chain.votes import Votes
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.bench_parts.mixed import AUTHORITIES, BLOCK_SLOTS, MAKER, Applier, found_ledger, secret_of

MAX_ORIGINALS = 500
# Of the records, one in so many is under objection.
OBJECTED_EVERY = 50
# Entries of a member: its account, itself, its ratings, records and sums.
_OF_MEMBERS = frozenset(b"nmrds")

_Mould = list[tuple[bytes, bytes, tuple[bytes, ...]]]
"""A member's entries: before and after its key in the state's key, and the encoded entry around it."""


class Register:
    """``members`` with ``records`` each, in memory as moulds alone.  Raises :class:`OperatorError`."""

    def __init__(self, members: int, records: int) -> None:
        originals = min(members, MAX_ORIGINALS)
        if members % originals:
            raise OperatorError(f"{members} members are no multiple of {MAX_ORIGINALS}; ask for another number")
        self.ledger = _lived(originals, records)
        self.members = sorted(sha256(b"member %d" % number).digest() for number in range(members))
        self._moulds: dict[bytes, _Mould] = {}
        self._others: dict[bytes, bytes] = {}
        known = {secret_of(1_000 + number).public for number in range(originals)}
        for key, value in self.ledger.state.items():
            if key[0] in _OF_MEMBERS and key[1:33] in known:
                original = key[1:33]
                piece = key[:1], key[33:], tuple(value.split(original))
                self._moulds.setdefault(original, []).append(piece)
            else:
                self._others[key] = value
        for identity in AUTHORITIES:  # each filed about all copies, too
            authority = self.ledger.view().authority(identity)
            if authority is not None:
                counted = authority._replace(filed=authority.filed * members // originals)
                self._others[authority_key(identity)] = encode_entry(counted)

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry of the state with its key, member by member."""
        yield from self._others.items()
        for member, mould in zip(self.members, cycle(self._moulds.values())):
            for before, after, parts in mould:
                yield before + member + after, member.join(parts)

    def write(self, home: Path) -> None:
        """Make a home of it.  Raises :class:`OperatorError` where one exists."""
        genesis, height = self.ledger.genesis, self.ledger.height + 1
        create_home(home, genesis, MAKER.seed, HomeConfig())
        storage = Storage(home / DATABASE, genesis)
        header = sign_header(
            MAKER,
            genesis.id,
            height=height,
            slot=height * BLOCK_SLOTS,
            parent=genesis.id,
            tag=NO_TAG,
            mhg=height - 1,
            mhp=height - 1,
            votes_root=EMPTY.root,
            transaction_root=EMPTY_ROOT,
            state_root=storage.replace_state(self.rows()),
        )
        votes = Votes.genesis(genesis.validators, genesis.batch, height)
        settled = Settled(header, votes, {})
        storage.commit([Commit(adopted=(Block(header, EMPTY, ()),), finalized_height=height, settled=settled)])
        storage.close()


def _lived(members: int, records: int) -> Ledger:
    """A ledger with so many members, about each of whom so many records were filed."""
    random = Random(1)
    ledger = found_ledger()
    subjects = [secret_of(1_000 + number).public for number in range(members)]
    applier = Applier(ledger, ledger.genesis.id, subjects)
    applier.enrol()
    categories = list(ledger.genesis.policy.categories.values())
    for _ in range(records):
        random.shuffle(subjects)
        applier.blocks([applier.file(subject, random.choice(categories)) for subject in subjects])
    filed = [(subject, number) for number in range(records) for subject in subjects]
    applier.blocks([applier.object_to(*record) for record in filed[::OBJECTED_EVERY]])
    return ledger
