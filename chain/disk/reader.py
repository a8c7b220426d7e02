"""Looking into a home's database, also while its node runs and from other processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any

from chain.base.codec import array, decode, encode
from chain.base.errors import InvariantBroken, Reason, Refused
from chain.consensus.ballots import Ballot, decode_ballot
from chain.consensus.headers import VerifiedHeader, decode_header
from chain.content.blocks import (
    HEADING_ITEMS,
    MAX_BLOCK_BYTES,
    MAX_BLOCK_TRANSACTIONS,
    Block,
    decode_heading,
    heading_of,
)
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction
from chain.disk.database import BLOCKS_AT_ONCE, COMMITS
from chain.disk.derived import HIGHEST_LEVEL, bands_above
from chain.disk.places import Address, Place
from chain.disk.postgres import open_database
from chain.disk.schema import BETWEEN, bounds, page_unseal, place, short_id, unseal
from chain.disk.scrub import Portion, scrub
from chain.disk.stored import is_bare, oldest_body, stored_finality, trusted_block
from chain.register.entries import Entry
from chain.register.scores import Noted
from chain.register.state import decode_entry
from chain.register.statekeys import account_key, read_given, read_identity
from chain.register.view import StateView

# Room for the heading of a block where some seventy validators speak.
BEGINNING_BYTES = 8_192
# As long as finality can be stalled before a reader gives up on a losing branch.
MAX_SIDE_BRANCH = 2_048


class Reader:
    """A read-only view, safe beside a running node.

    Each query sees the newest commit; :meth:`consistent` holds one view for several.  ``damaged`` are the blocks, by
    height, whose bodies :meth:`branch` found damaged.
    """

    def __init__(self, path: Place, genesis: Genesis) -> None:
        self.path = path
        self.genesis = genesis
        self.damaged: dict[int, bytes] = {}
        self._database = open_database(path, genesis, read_only=True)

    @contextlib.contextmanager
    def consistent(self) -> Iterator[None]:
        """All queries inside see one and the same commit."""
        with self._database.consistent():
            yield

    def hold(self) -> None:
        """Until this is closed, see one and the same commit: the newest one now."""
        self._database.hold()

    @property
    def log_bytes(self) -> int:
        """How much of what was committed is in SQLite's log, also because somebody still reads what was before."""
        if isinstance(self.path, Address):  # a server has its own way
            return 0
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.stat().st_size if log.exists() else 0

    def finalized_height(self) -> int:
        """The height up to which the chain is final."""
        return stored_finality(self._database)

    def head_height(self) -> int:
        """The height of the head."""
        (row,) = self._database.rows("SELECT max(height) FROM blocks WHERE main = 1")
        return row[0] or 0

    def oldest_body(self) -> int:
        """The height from which on this home keeps what blocks say; of those below it there are headers and votes."""
        return oldest_body(self._database)

    def snapshot_header(self) -> VerifiedHeader | None:
        """The header whose state :meth:`entries` shows; None while it is the genesis's."""
        raw = self._database.meta("snapshot_header")
        return None if raw is None else VerifiedHeader(decode_header(raw))

    def block_at(self, height: int) -> Block | None:
        """The main chain's block at ``height``."""
        return next(self.blocks(height, 1), None)

    def block(self, block_id: bytes) -> tuple[Block, bool] | None:
        """A block by its id or the beginning of it, and whether it is on the main chain."""
        rows = self._database.values(
            "SELECT id, body, main FROM blocks WHERE id >= ? AND id < ? LIMIT 1", bounds(block_id)
        )
        return next(((trusted_block(body), bool(main)) for _, body, main in rows), None)

    def raw_block(self, block_id: bytes) -> bytes | None:
        """An encoded block by its id, main or not."""
        rows = self._database.values("SELECT id, body, 0 FROM blocks WHERE id = ?", (block_id,))
        return next((body for _, body, _ in rows), None)

    def raw_blocks(self, from_height: int, count: int) -> list[bytes]:
        """Encoded blocks of the main chain, oldest first."""
        rows = self._database.values(
            "SELECT id, body, 0 FROM blocks WHERE main = 1 AND height >= ? AND height < ? ORDER BY height",
            (min(from_height, 2**62), min(from_height, 2**62) + count),
        )
        return [body for _, body, _ in rows]

    def blocks(self, from_height: int, count: int) -> Iterator[Block]:
        """Blocks of the main chain, oldest first."""
        return map(trusted_block, self.raw_blocks(from_height, count))

    def branch(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        """Encoded blocks of the branch that ends in ``tip_id``, from ``from_height`` up; none if it is unknown.

        They are read as they are drawn, up to the first whose body is not here.  A branch beside the main chain is
        walked back at most :data:`MAX_SIDE_BRANCH` blocks.  Raises :class:`Refused` ``BODY_GONE`` where the very first
        has none.
        """
        last, side = self._way_to(tip_id, from_height)
        main = self._database.rows(
            "SELECT height, id, body FROM blocks WHERE main = 1 AND height BETWEEN ? AND ? ORDER BY height",
            (min(from_height, 2**62), last),
            at_once=BLOCKS_AT_ONCE,
        )
        for height, block_id, stored in main:
            body = self._whole(height, block_id, stored)
            if body is None and height > from_height:
                return  # what comes before it is of use
            if body is None:
                raise Refused(Reason.BODY_GONE, f"the transactions of height {height} are not here")
            yield body
        yield from map(self._required, side)

    def _whole(self, height: int, block_id: bytes, stored: bytes) -> bytes | None:
        """A stored block, None where its body was dropped or is damaged, which is noted."""
        try:
            raw = unseal(block_id, stored)
        except Refused:
            self.damaged[height] = block_id
            return None
        return None if is_bare(raw) else raw

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        """The headings of :meth:`branch`, encoded.  Of a block no more is read than its beginning."""
        last, side = self._way_to(tip_id, from_height)
        main = self._database.rows(
            f"SELECT id, substr(body, 1, {BEGINNING_BYTES}) FROM blocks "
            "WHERE main = 1 AND height BETWEEN ? AND ? ORDER BY height",
            (min(from_height, 2**62), last),
        )
        yield from (self._heading(block_id, beginning) for block_id, beginning in main)
        yield from (self._heading(block_id, self._required(block_id)) for block_id in side)

    def _way_to(self, tip_id: bytes, from_height: int) -> tuple[int, list[bytes]]:
        """The last height of the main chain on the way to a tip, 0 for none, and the blocks beside it after that."""
        side: list[bytes] = []
        find = "SELECT parent, height, main FROM blocks WHERE id = ?"
        for _ in range(MAX_SIDE_BRANCH):
            row = next(self._database.rows(find, (tip_id,)), None)
            if row is None:
                return 0, []
            parent, height, is_main = row
            if is_main or height < from_height:
                return (height if is_main else 0), side[::-1]
            side.append(tip_id)
            tip_id = parent
        return 0, side[::-1]

    def _heading(self, block_id: bytes, beginning: bytes) -> bytes:
        """The heading that a stored block begins with."""
        with self._database.translated():
            try:
                heading = heading_of(beginning)
            except Refused:  # a large ballot: it takes the whole block
                heading = heading_of(self._required(block_id))
            if decode_heading(heading)[0].id != block_id:  # no checksum guards a part
                raise Refused(Reason.MALFORMED, f"block {block_id.hex()[:12]} is not what was written")
        return heading

    def _required(self, block_id: bytes) -> bytes:
        body = self.raw_block(block_id)
        if body is None:
            raise InvariantBroken(f"block {block_id.hex()[:12]} vanished from the database")
        return body

    def transaction(self, transaction_id: bytes) -> tuple[Transaction, Block, bool] | None:
        """A transaction by its id (8 bytes of it suffice), its block, and whether that is on the main chain."""
        rows = self._database.values(
            "SELECT id, body, main FROM transactions JOIN blocks ON block = number WHERE short = ? ORDER BY main DESC",
            (short_id(transaction_id),),
        )
        for _, body, main in rows:
            block = trusted_block(body)
            for transaction in block.transactions:
                if transaction.id.startswith(transaction_id):
                    return transaction, block, bool(main)
        return None

    def summaries(self, from_height: int, count: int, *, main: bool = True) -> Iterator[tuple[bytes, int, int]]:
        """``(id, height, transactions)`` of blocks without reading their bodies, oldest first."""
        yield from self._database.rows(
            "SELECT id, height, transactions FROM blocks WHERE main = ? AND height >= ? ORDER BY height LIMIT ?",
            (int(main), from_height, count),
        )

    def headers(self, from_height: int, count: int, *, main: bool = True) -> Iterator[tuple[VerifiedHeader, int]]:
        """Headers, each with the number of its block's transactions, without decoding these; oldest first."""
        rows = self._database.values(
            "SELECT id, body, transactions FROM blocks WHERE main = ? AND height >= ? ORDER BY height, id LIMIT ?",
            (int(main), from_height, count),
            at_once=BLOCKS_AT_ONCE,
        )
        for _, body, transactions in rows:
            fields = decode(body, max_bytes=MAX_BLOCK_BYTES, max_items=MAX_BLOCK_TRANSACTIONS)
            header, *_ = array(fields, HEADING_ITEMS, HEADING_ITEMS + 1, "a block")
            yield VerifiedHeader(decode_header(bytes(header))), transactions

    def votings(self, from_height: int, count: int) -> Iterator[tuple[VerifiedHeader, Ballot]]:
        """Headers of the main chain with their ballots: all that it takes to count votes; oldest first."""
        rows = self._database.values(
            "SELECT id, body, 0 FROM blocks WHERE main = 1 AND height >= ? ORDER BY height LIMIT ?",
            (from_height, count),
            at_once=BLOCKS_AT_ONCE,
        )
        for _, body, _ in rows:
            fields = decode(body, max_bytes=MAX_BLOCK_BYTES, max_items=MAX_BLOCK_TRANSACTIONS)
            header, ballot, *_ = array(fields, HEADING_ITEMS, HEADING_ITEMS + 1, "a block")
            yield VerifiedHeader(decode_header(bytes(header))), decode_ballot(bytes(ballot))

    def block_ids(self, first: bytes, last: bytes, count: int) -> list[bytes]:
        """Up to ``count`` ids of stored blocks, main or not, between two 32-byte bounds, in their order."""
        rows = self._database.rows(
            "SELECT id FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?", (first, last, count)
        )
        return [bytes(block_id) for (block_id,) in rows]

    def entry(self, key: bytes) -> Entry | None:
        """One entry of the snapshot's state."""
        return self._database.entry(key)

    def keys_between(self, first: bytes, last: bytes, count: int) -> list[bytes]:
        """Up to ``count`` public keys that have an account in the snapshot's state, between two 32-byte bounds."""
        rows = self._database.rows(
            "SELECT key FROM state WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?",
            (account_key(first), account_key(last), count),
        )
        return [read_identity(bytes(key)) for (key,) in rows]

    def view(self) -> StateView:
        """The snapshot's state, to look at: that of a final block, behind the head."""
        return _StoredView(self)

    def standings(self, limit: int) -> list[tuple[bytes, int]]:
        """``(member, score)`` of the best, equal scores by the member's key."""
        tiers = (self.tier(level, limit) for level in self._levels())
        return list(islice(merge(*tiers, key=lambda row: (-row[1], row[0])), limit))

    def tier(self, level: int, limit: int, offset: int = 0) -> Iterator[tuple[bytes, int]]:
        """``(member, score)`` of those on a level, in the same order."""
        sql = "SELECT member, score FROM standings WHERE level = ? ORDER BY score DESC, member LIMIT ? OFFSET ?"
        return self._standing(sql, (level, limit, offset))

    def lists(self, limit: int, offset: int = 0) -> Iterator[tuple[bytes, int]]:
        """The same of all levels, the highest first."""
        sql = "SELECT member, score FROM standings ORDER BY level DESC, score DESC, member LIMIT ? OFFSET ?"
        return self._standing(sql, (limit, offset))

    def _standing(self, sql: str, parameters: tuple[int, ...]) -> Iterator[tuple[bytes, int]]:
        return ((bytes(member), score) for member, score in self._database.rows(sql, parameters))

    def _levels(self) -> Iterator[int]:
        """The levels that somebody stands on, without looking at everybody."""
        level: int | None = 2**62
        while level is not None:
            ((level,),) = self._database.rows("SELECT max(level) FROM standings WHERE level < ?", (level,))
            if level is not None:
                yield level

    def count_tiers(self) -> dict[int, int]:
        """How many members stand on each level that somebody stands on."""
        return dict(self._database.rows("SELECT level, count(*) FROM standings GROUP BY level"))

    def suspended(self) -> Iterator[bytes]:
        """The members about whom a record is suspended, by key."""
        rows = self._database.rows("SELECT member FROM standings WHERE suspended > 0 ORDER BY member")
        return (bytes(member) for (member,) in rows)

    def noted(self) -> Iterator[tuple[bytes, Noted]]:
        """What is noted of each member, by key."""
        rows = self._database.rows("SELECT member, score, level, suspended FROM standings ORDER BY member")
        return ((bytes(member), Noted(*place)) for member, *place in rows)

    def rank(self, score: int) -> int:
        """The rank of a score: 1 + how many members have a higher one."""
        count = "SELECT coalesce(sum(members), 0) FROM ranks WHERE level = ? AND band BETWEEN ? AND ?"
        return 1 + sum(int(number) for bands in bands_above(score) for (number,) in self._database.rows(count, bands))

    def count_members(self) -> int:
        """How many have a score."""
        count = "SELECT coalesce(sum(members), 0) FROM ranks WHERE level = ?"
        (row,) = self._database.rows(count, (HIGHEST_LEVEL,))
        return int(row[0])

    def entries(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """All entries of the snapshot's state whose keys start with ``prefix``, above the key ``after``, by key."""
        first, last = bounds(prefix)
        for key, value, _ in self._database.values(BETWEEN, (max(first, after + b"\0"), last)):
            yield key, decode_entry(key, value)

    def scrub(self) -> Iterator[Portion]:
        """Look through all of the stored state for damage, a portion at a time (:func:`chain.disk.scrub.scrub`)."""
        return scrub(self._database)

    def commits(self) -> int:
        """How many commits there were: whatever can be read here is the same while this is."""
        return int(decode(self._database.meta(COMMITS) or encode((0,)), max_bytes=16)[0])

    def ratings_by(self, rater: bytes) -> Iterator[tuple[bytes, Entry]]:
        """The ratings that ``rater`` gave, by key."""
        for (rating,) in self._database.rows("SELECT rating FROM given WHERE rater = ? ORDER BY rating", (rater,)):
            key = read_given(rater, rating)
            entry = self.entry(key)
            if entry is not None:  # gone since
                yield key, entry

    def entries_between(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes, int]]:
        """Undecoded entries whose keys have hashes from ``first`` to ``last``, with their places, in the tree's order.

        A few more may come, whose hashes begin like one of these two.
        """
        between = "SELECT key, value, at FROM state WHERE at BETWEEN ? AND ? ORDER BY at"
        yield from self._database.values(between, (place(first), place(last)))

    def pages(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        """The pages of the tree over the snapshot's state under these paths, as far as there are any."""
        with self._database.translated():
            rows = self._database.many("SELECT k, v FROM page WHERE k", list(paths))
            return {path: page_unseal(path, page) for path, page in rows}

    def count_entries(self) -> int:
        """How many entries the snapshot's state has, as its tree says."""
        return self._database.number("entries")

    def rescored(self) -> bytes | None:
        """Up to which member scores are those of the policy in force, where it is new; None where all are."""
        return self._database.meta("rescored")

    def state_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """All of the snapshot's state as it is stored: keys and undecoded entries, by key."""
        for key, value, _ in self._database.values("SELECT key, value, 0 FROM state ORDER BY key"):
            yield key, value

    def decisions(self) -> list[int]:
        """The heights of blocks up to :meth:`snapshot_header` that decided something about who votes, lowest first."""
        return [height for (height,) in self._database.rows("SELECT height FROM decisions ORDER BY height")]

    def snapshot_votes(self) -> bytes | None:
        """The encoded votes after :meth:`snapshot_header`; None while it is the genesis's."""
        return self._database.meta("snapshot_votes")

    def close(self) -> None:
        """End the connection."""
        self._database.close()


class _StoredView(StateView):
    """The state that a reader sees; the newest block is the head's."""

    def __init__(self, reader: Reader) -> None:
        snapshot = reader.snapshot_header()
        newest = next(reader.headers(reader.head_height(), 1), None)
        height, slot = 0 if snapshot is None else snapshot.height, 0 if newest is None else newest[0].slot
        super().__init__(reader.genesis, height, slot, is_final=True)
        self._reader = reader

    def get(self, key: bytes) -> Any:
        """The entry under a state key, or None; the key decides its type.  Raises :class:`Refused` for damage."""
        return self._reader.entry(key)

    def _under(self, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
        return self._reader.entries(prefix)
