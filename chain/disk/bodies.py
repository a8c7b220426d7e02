"""Bodies: what the blocks of a home say, and how what is too old leaves its files.

Of a block whose body was dropped the heading stays, in the body's place: header and ballot are what votes, finality and
proofs are counted from.  Dropping is one thing, and being gone another: SQLite only marks as free what it deletes, so
the connection overwrites it (``secure_delete``), the log is cut, and now and then the whole file is written anew, since
copies of what was moved stay in the slack of its pages.  Source: protocol 2.7.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from chain.base.codec import decode, encode
from chain.base.errors import Refused
from chain.consensus.headers import Header, decode_header
from chain.content.blocks import Block, decode_block, decode_heading, encode_block, heading_of
from chain.content.genesis import Genesis
from chain.content.transactions import decode_transaction
from chain.disk.database import BLOCKS_AT_ONCE, Database
from chain.disk.schema import seal, short_id, unseal
from chain.disk.stored import counted_from, is_bare, oldest_body, policy_in_force
from chain.protocol.mempool import MAX_BYTES, MAX_TRANSACTIONS
from chain.protocol.messages import FRAMING_BYTES, RawItems

# A transaction of so many blocks: a fraction of a second, also where they are the largest.
DROPPED_AT_ONCE = 32
# Of blocks that lost so many heights ago a heading stays, as of what is pruned: whoever leads can make one in
# each of its slots, of whatever it likes, and nobody pays for that or can be blamed.
LOST_BLOCKS_KEPT = 1_024
# A file is written anew once bodies of a tenth of their window were dropped since it was last.
_WIPED_PER_WINDOW = 10
# What came back from abandoned blocks finds twice the room in a mempool.
_MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES


class Missing(NamedTuple):
    """A block of the main chain whose body is not here, or not whole."""

    height: int
    id: bytes


class Bodies:
    """The bodies in a home's database.  Its methods block, and nobody else may write meanwhile."""

    def __init__(self, database: Database, genesis: Genesis) -> None:
        self._database = database
        self._connection = database.connection
        self._genesis = genesis

    @property
    def oldest(self) -> int:
        """The height from which on this home keeps every body."""
        return oldest_body(self._database)

    def overwrite(self) -> None:
        """From now on what is deleted is overwritten, too."""
        with self._database.translated():
            self._connection.execute("PRAGMA secure_delete = ON")

    # ------------------------------------------------------------------------------------------- what is too old

    def drop(self, limit: int = DROPPED_AT_ONCE) -> int:
        """Drop the bodies of the next ``limit`` blocks whose window has passed; how many there were.

        Durable as a whole.  What waited for a block longer than it may goes with them, and blocks that lost long ago.
        """
        gone = list(self._too_old(limit))
        if not gone:
            return 0
        oldest = gone[-1].height + 1
        with self._database.transaction():
            for header in gone:
                self._strip(header.id)
            self._drop_beside(oldest)
            self._forget_waiting(oldest)
            self._database.put("bodies", encode((oldest,)))
        return len(gone)

    @property
    def window(self) -> int:
        """For how many slots a pruned home keeps bodies, by the policy in force.  Raises :class:`Refused`."""
        policy = policy_in_force(self._database)
        return policy.slots(policy.bodies_days, self._genesis.slot_ms)

    def _too_old(self, limit: int) -> Iterator[Header]:
        """The headers of blocks whose window has passed, oldest first; time is that of the state on disk."""
        with self._database.translated():
            raw = self._database.meta("snapshot_header")
            if raw is None:
                return
            now = decode_header(raw)
            first, since = self.oldest, now.slot - self.window
            for header in self._headers(first, min(first + limit, now.height) - 1):
                if header.slot >= since:
                    return
                yield header

    def _headers(self, first: int, last: int) -> Iterator[Header]:
        rows = self._database.rows(
            "SELECT id, body FROM blocks WHERE main = 1 AND height BETWEEN ? AND ? ORDER BY height",
            (first, last),
            at_once=1,  # most often the first is not old enough
        )
        for block_id, stored in rows:
            yield _header_of(block_id, stored)

    def strip_lost(self, before: int, after: int) -> None:
        """What the final height rose by: leave headings of what lost so long ago by now.  Part of a transaction."""
        for _, block_id, stored in self._beside(before - LOST_BLOCKS_KEPT, after - LOST_BLOCKS_KEPT):
            with contextlib.suppress(Refused):  # damaged: nobody needs it, and a scrub says so
                unseal(block_id, stored)
                self._strip(block_id)

    def _strip(self, block_id: bytes) -> None:
        """Leave of a block its heading."""
        number, stored = self._connection.execute(
            "SELECT number, body FROM blocks WHERE id = ?", (block_id,)
        ).fetchone()
        self._drop_index(number, block_id, stored)
        heading = seal(block_id, heading_of(stored))
        self._connection.execute("UPDATE blocks SET body = ? WHERE number = ?", (heading, number))

    def _drop_beside(self, oldest: int) -> None:
        for number, block_id, stored in self._beside(0, oldest):
            self._drop_index(number, block_id, stored)
            self._connection.execute("DELETE FROM blocks WHERE number = ?", (number,))

    def _beside(self, first: int, end: int) -> list[tuple[int, bytes, bytes]]:
        """Blocks beside the main chain, from one height to before another."""
        sql = "SELECT number, id, body FROM blocks WHERE main = 0 AND height >= ? AND height < ?"
        rows: list[tuple[int, bytes, bytes]] = self._connection.execute(sql, (first, end)).fetchall()
        return rows

    def _drop_index(self, number: int, block_id: bytes, stored: bytes) -> None:
        try:
            raw = unseal(block_id, stored)
            ids = () if is_bare(raw) else [transaction.id for transaction in decode_block(raw)[2]]
        except Refused:  # damaged: which ones it held only the index knows, which is not made to be asked that
            self._connection.execute("DELETE FROM transactions WHERE block = ?", (number,))
            return
        self._connection.executemany(
            "DELETE FROM transactions WHERE short = ? AND block = ?", [(short_id(each), number) for each in ids]
        )

    def _forget_waiting(self, height: int) -> None:
        """A crash leaves here what waited at the last clean stop, however long ago that was."""
        items = stored_waiting(self._database)
        kept = tuple(item for item in items if decode_transaction(item).expiry_height >= height)
        if len(kept) < len(items):
            self._database.put("waiting", RawItems(kept).encode())

    # -------------------------------------------------------------------------------------- what must be gone, too

    def cut_log(self) -> bool:
        """Fold the log into the database and cut it to nothing; False where a reader is in the way just now."""
        with self._at_once():
            (is_busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy

    def end_log(self) -> bool:
        """Fold the log into the database and do without one; False where anybody else has the database open."""
        with self._at_once():
            return self._database.end_log()

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[None]:
        """Who is in the way is not waited for."""
        with self._database.translated():
            (timeout_ms,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
            try:
                self._connection.execute("PRAGMA busy_timeout = 0")
                yield
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")

    @property
    def is_worn(self) -> bool:
        """Whether so much was dropped since the file was last written anew that it is time for that."""
        raw = self._database.meta("wiped")
        wiped = None if raw is None else int(decode(raw, max_bytes=16)[0])
        if wiped is None or wiped == self.oldest:
            return wiped is None
        slots = [header.slot for height in (wiped, self.oldest) for header in self._headers(height, height)]
        return slots[-1] - slots[0] >= self.window // _WIPED_PER_WINDOW

    def write_anew(self, copy: Path) -> None:
        """Write what the file holds, and nothing else, into a new one beside it."""
        with self._database.translated():
            self._connection.execute("VACUUM INTO ?", (str(copy),))

    def wipe(self) -> None:
        """Write the whole file anew, with nothing in it but what it holds; takes twice its room while it lasts."""
        oldest = self.oldest
        with self._database.translated():
            self._connection.execute("VACUUM")
        with self._database.transaction():
            self._database.put("wiped", encode((oldest,)))
        self.cut_log()

    # ------------------------------------------------------------------------------------- what is missing or damaged

    def missing(self, first: int, count: int) -> list[Missing]:
        """Blocks of the main chain from height ``first`` on of which there is no body, or a damaged one."""
        rows = self._database.rows(
            "SELECT height, id, body FROM blocks WHERE main = 1 AND height BETWEEN ? AND ? ORDER BY height",
            (first, first + count - 1),
            at_once=BLOCKS_AT_ONCE,
        )
        return [
            Missing(height, bytes(block_id)) for height, block_id, stored in rows if not _is_whole(block_id, stored)
        ]

    def restore(self, block: Block, *, is_pruned: bool = False) -> None:
        """Put a block of the main chain back in its place; in a pruned home its heading alone, where it is too old."""
        raw, transactions = encode_block(block), block.transactions
        if is_pruned and block.header.height < self.oldest:
            raw, transactions = heading_of(raw), ()
        body = seal(block.id, raw)
        with self._database.transaction():
            (number,) = self._connection.execute("SELECT number FROM blocks WHERE id = ?", (block.id,)).fetchone()
            self._connection.execute(
                "UPDATE blocks SET body = ?, transactions = ? WHERE number = ?",
                (body, len(block.transactions), number),
            )
            self._connection.executemany(
                "INSERT INTO transactions VALUES (?, ?) ON CONFLICT DO NOTHING",
                sorted((short_id(transaction.id), number) for transaction in transactions),
            )

    def lower(self, height: int) -> None:
        """Every body from ``height`` on is here again."""
        with self._database.transaction():
            self._database.put("bodies", encode((height,)))
            self._count_down_to(height)
            self._connection.execute("DELETE FROM meta WHERE key = 'wiped'")

    def _count_down_to(self, height: int) -> None:
        """Count the transactions of the blocks that a home brought no bodies of when it joined."""
        counted = counted_from(self._database)
        if height < counted:
            (more,) = self._connection.execute(
                "SELECT coalesce(sum(transactions), 0) FROM blocks WHERE main = 1 AND height >= ? AND height < ?",
                (height, counted),
            ).fetchone()
            self._database.put("transactions", encode((self._database.number("transactions") + int(more),)))
            self._database.put("counted_from", encode((height,)))

    def stop_overwriting(self) -> None:
        """From now on the file keeps what is deleted, as any file does, until it is written anew."""
        if self._database.meta("wiped") is not None:
            with self._database.transaction():
                self._connection.execute("DELETE FROM meta WHERE key = 'wiped'")


def stored_waiting(database: Database) -> tuple[bytes, ...]:
    """What waited for a block at the last clean stop, encoded.  Raises :class:`Refused` where that is damaged."""
    raw = database.meta("waiting")
    if raw is None:
        return ()
    return RawItems.decode(raw, max_items=MAX_TRANSACTIONS, max_bytes=_MAX_WAITING_BYTES).items


def _header_of(block_id: bytes, stored: bytes) -> Header:
    """The header that a stored block begins with; damage behind it does no harm.  Raises :class:`Refused`."""
    header, _ = decode_heading(heading_of(stored))
    if header.id != block_id:
        unseal(block_id, b"")  # raises
    return header


def _is_whole(block_id: bytes, stored: bytes) -> bool:
    with contextlib.suppress(Refused):
        return not is_bare(unseal(block_id, stored))
    return False
