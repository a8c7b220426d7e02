"""Databases that an older version wrote, brought up to date where they lie, without loss.

Each format but the newest has a step to the next.  A step and the new format are written as one transaction: whatever
ends the process, the next start goes on from a whole database of the one format or the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from chain.blockchain import Blockchain
from chain.codec import encode
from chain.database import OLDEST_FORMAT, Database, announcement_row, corrupt, trusted_block
from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.headers import decode_header
from chain.validators import SetAnnouncement

# A chain that is executed keeps what it could undo; what is final is dropped this often.
_SETTLE_BLOCKS = 64


def migrate(database: Database, genesis: Genesis, notice: Callable[[str], None]) -> None:
    """Take every step that an open database needs; ``notice`` is told before each.

    Raises :class:`OperatorError` where the database is damaged; then nothing of the step was written.
    """
    for step in STEPS[database.format - OLDEST_FORMAT :]:
        notice(f"{database.path} is of an older version; once, {step.what}")
        try:
            with database.transaction():
                step.take(database, genesis)
                newer = encode(database.format + 1)
                database.connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (newer,))
        except InvariantBroken as error:
            raise corrupt(database.path, str(error)) from error
        database.format += 1


class Step(NamedTuple):
    """From one format to the next: ``what`` it does, for people, and how."""

    what: str
    take: Callable[[Database, Genesis], None]


def _fill_announcements(database: Database, genesis: Genesis) -> None:
    """2 to 3: a table of what proofs need of each change of validators."""
    create = "CREATE TABLE announcements (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
    database.connection.execute(create)
    rows = [announcement_row(announcement) for announcement in _announced(database, genesis)]
    database.connection.executemany("INSERT INTO announcements VALUES (?, ?)", rows)


def _announced(database: Database, genesis: Genesis) -> Iterator[SetAnnouncement]:
    """Every change of validators announced up to the snapshot, found by executing the chain up to there."""
    raw = database.meta("snapshot_header")
    if raw is None:
        return
    header = decode_header(raw)
    chain = Blockchain(genesis)
    blocks = "SELECT id, body, 0 FROM blocks WHERE main = 1 AND height <= ? ORDER BY height"
    for _, body, _ in database.values(blocks, (header.height,)):
        chain.add(trusted_block(body), arrived_in_slot=True)
        if chain.unsettled >= _SETTLE_BLOCKS:
            yield from _settled(chain)
    if chain.head.header.id != header.id:
        raise Refused(Reason.MALFORMED, "the stored blocks do not lead to the stored state")
    chain.restore_finality(header.height)
    yield from _settled(chain)


def _settled(chain: Blockchain) -> tuple[SetAnnouncement, ...]:
    settled = chain.settle()
    return () if settled is None else settled.announced


#: From :data:`OLDEST_FORMAT` on, one for each format.
STEPS = (Step("every block is executed again, which takes minutes for each million transactions", _fill_announcements),)
