"""A home that joins by state: headers and a state are fetched into a database beside its own, until that is whole.

Headers are kept as a pruned home keeps them (:mod:`chain.disk.bodies`).  Of the state every part is stored together
with what is still missing, and with the pages of the tree over what is here: so a part that is here already is known by
its hash (:mod:`chain.protocol.joining`).  Its entries are laid in the order of the tree, in which they come, and when
all are here, the home's own database is made of them (:mod:`chain.disk.arrived`), which knew nothing but the genesis
and what this validator signed.  Whatever interrupts it, asked again it goes on.  Source: protocol 7.7.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from chain.base.codec import array, decode, encode
from chain.base.errors import OperatorError, Reason, Refused
from chain.base.newest import Newest
from chain.branches.blocktree import Judged
from chain.branches.lightchain import MAX_KNOWN, MAX_SAVED_BYTES, Checkpoint, LightChain, restore, save
from chain.consensus.headers import Header, VerifiedHeader, decode_header
from chain.consensus.votecodec import decode_votes, encode_votes
from chain.content.blocks import Heading, decode_heading
from chain.content.genesis import Genesis
from chain.disk.arrived import make_home, remove
from chain.disk.database import DATABASE, Database, corrupt
from chain.disk.derived import Derived
from chain.disk.places import Address, Place
from chain.disk.postgres import open_database
from chain.disk.schema import FORMAT, SCHEMA, place, seal
from chain.protocol.joining import MAX_BEHIND, Joining, share
from chain.protocol.messages import GetPart
from chain.tree import pages
from chain.tree.ranges import Fetched, Part
from chain.tree.stateproof import HASH_BYTES

_CACHE_KIB = 32_768
_LOG_PAGES = 4_000
# The entries in the order of the tree, by :func:`chain.disk.schema.place`.
_LAID = "CREATE TABLE laid (at INTEGER, key BLOB, value BLOB NOT NULL, PRIMARY KEY (at, key)) WITHOUT ROWID;"
_LAY = "INSERT INTO laid VALUES (?, ?, ?) ON CONFLICT (at, key) DO UPDATE SET value = excluded.value"


class Waiting(NamedTuple):
    """A heading that is not final yet."""

    height: int
    parent: bytes
    raw: bytes
    changes_voters: bool


class Standing(NamedTuple):
    """How far it is: headers up to ``height``, and ``entries`` of ``total`` of the state of ``target``.

    ``share`` is how much of all key hashes is here, in thousandths.
    """

    height: int
    target: int
    entries: int
    total: int
    share: int


def draft_of(place: Place) -> Path:
    """Where what is fetched for a home's database is kept."""
    path = place.parent.joinpath(DATABASE) if isinstance(place, Address) else place
    return path.with_name(f"{path.name}.joining")


def is_fresh(place: Place, genesis: Genesis) -> bool:
    """Whether a home's database holds no block yet.  Raises :class:`OperatorError`."""
    with closing(open_database(place, genesis, read_only=True)) as database:
        return next(database.rows("SELECT 1 FROM blocks LIMIT 1"), None) is None


def progress_of(path: Place) -> bytes | None:
    """What a home that joins says of it, beside its process; None where none does.  Raises :class:`OperatorError`."""
    if not draft_of(path).exists():
        return None
    connection = sqlite3.connect(f"{draft_of(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    with closing(Database.around(draft_of(path), connection)) as database:
        return database.meta("progress")


class Newcomer:
    """What is fetched for the home whose database is at ``path``.  Its methods block; one at a time.

    ``chain`` are the headers so far, to go on from; ``target`` is the header, with the votes after it, whose state is
    fetched.
    """

    def __init__(self, path: Place, genesis: Genesis, checkpoint: Checkpoint | None = None) -> None:
        """Begin, or go on.  Raises :class:`OperatorError` where the disk cannot be written, or is damaged."""
        self.path = path
        self.genesis = genesis
        self._is_made = False
        draft = draft_of(path)
        try:
            connection = sqlite3.connect(draft, isolation_level=None, check_same_thread=False)
            self._database = Database.around(draft, connection)
            self._derived = Derived(self._database)
            with self._database.translated():
                self._open()
                self.chain = self._restored(checkpoint)
                self._stored = self._last_stored()
                self.joining = self._unfinished()
                self.target = self._target()
        except (OSError, sqlite3.Error) as error:
            raise OperatorError(f"{draft} cannot be written ({error}); make room for it and try again") from error
        except OperatorError as error:
            self.close()
            if isinstance(error.__cause__, sqlite3.OperationalError):  # no room, or not permitted
                raise
            raise OperatorError(
                f"{draft} is damaged ({error.__cause__}); move it away, and the join begins anew"
            ) from error
        self._waiting: Newest[bytes, Waiting] = Newest(MAX_KNOWN)

    def _open(self) -> None:
        connection = self._database.connection
        connection.execute("PRAGMA page_size = 16384")  # what comes together lies together
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what the disk loses of it is fetched again
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            connection.executescript("BEGIN;" + SCHEMA + _LAID)
            connection.execute("INSERT INTO meta VALUES ('format', ?)", (encode(FORMAT),))
            connection.execute("INSERT INTO meta VALUES ('genesis', ?)", (self.genesis.id,))
            connection.execute("COMMIT")
        if (self._database.meta("format"), self._database.meta("genesis")) != (encode(FORMAT), self.genesis.id):
            raise Refused(Reason.MALFORMED, "it is of another version, or of another network")

    def _restored(self, checkpoint: Checkpoint | None) -> LightChain:
        """The chain as far as it is stored, with every state that may still be given away."""
        raw = self._database.meta("headers")
        known = None if raw is None else restore(self.genesis, raw, None)
        if known is not None and checkpoint in (None, known.checkpoint):
            for heading in self._headings_above(known.final.header.height):
                known.add(heading, is_shown=True)
            return known
        self._forget("headers", "target", "joining")  # under another checkpoint than before, what was final is not
        self._drop_above(0)
        return LightChain(self.genesis, checkpoint)

    def _headings_above(self, height: int) -> Iterator[Heading]:
        rows = "SELECT id, body, 0 FROM blocks WHERE height > ? ORDER BY height"
        for _, body, _ in self._database.values(rows, (height,)):
            header, ballot = decode_heading(body)
            yield Heading(VerifiedHeader(header), ballot)

    def _last_stored(self) -> Header:
        rows = self._database.values("SELECT id, body, 0 FROM blocks ORDER BY height DESC LIMIT 1")
        return next((decode_heading(body)[0] for _, body, _ in rows), LightChain(self.genesis).final.header)

    def _forget(self, *keys: str) -> None:
        self._database.connection.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in keys])

    def _unfinished(self) -> Joining | None:
        raw = self._database.meta("joining")
        return None if raw is None else Joining.decode(raw, self._here)

    def _target(self) -> Judged | None:
        raw = self._database.meta("target")
        if raw is None:
            return None
        header, votes = array(decode(raw, max_bytes=MAX_SAVED_BYTES, max_items=2), 2, 2, "a target")
        return Judged(decode_header(header), decode_votes(votes))

    def close(self) -> None:
        """End the connection; once the home is made, nothing stays of what was fetched for it."""
        self._database.close()
        if self._is_made:
            remove(draft_of(self.path))

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing any more."""
        return self.joining is not None and self.joining.is_done

    @property
    def standing(self) -> Standing:
        """How far it is."""
        joining = self.joining
        return Standing(
            self._stored.height,
            0 if self.target is None else self.target.header.height,
            self._database.number("entries"),
            self._database.number("total"),
            0 if joining is None else share(joining),
        )

    def note(self, progress: bytes) -> None:
        """What :func:`progress_of` tells others."""
        with self._database.portion():
            self._database.put("progress", progress)

    # ------------------------------------------------------------------------------------------------- headers

    def slot_at(self, height: int) -> int:
        """The slot of a stored header."""
        rows = self._database.values("SELECT id, body, 0 FROM blocks WHERE height = ?", (height,))
        return next(decode_heading(body)[0].slot for _, body, _ in rows)

    def follow(self, chain: LightChain, headings: Sequence[Heading]) -> None:
        """These were added to a chain: store what is final of them.  Another chain than before begins anew."""
        if chain is not self.chain:
            with self._database.portion():
                self._drop_above(0)
            self.chain, self._stored = chain, LightChain(self.genesis).final.header
            self._waiting.clear()
        for heading in headings:
            self._waiting[heading.header.id] = _waiting(heading)
        if chain.final.header.height > self._stored.height:
            self._store()

    def _drop_above(self, height: int) -> None:
        self._database.connection.execute("DELETE FROM blocks WHERE height > ?", (height,))
        self._database.connection.execute("DELETE FROM decisions WHERE height > ?", (height,))

    def _store(self) -> None:
        final, way = self.chain.final.header, list[tuple[bytes, Waiting]]()
        block_id = final.id
        while block_id != self._stored.id:
            if block_id not in self._waiting:
                raise OperatorError(f"too much stood beside the chain for too long; move {draft_of(self.path)} away")
            way.append((block_id, self._waiting.pop(block_id)))
            block_id = way[-1][1].parent
        with self._database.portion():
            self._insert(way[::-1])
            if self.chain.is_anchored:
                self._database.put("headers", save(self.chain, MAX_BEHIND))
        self._stored = final
        for block_id in [each for each, waiting in self._waiting.items() if waiting.height <= final.height]:
            del self._waiting[block_id]

    def _insert(self, way: Sequence[tuple[bytes, Waiting]]) -> None:
        connection = self._database.connection
        connection.executemany(
            "INSERT INTO blocks (id, parent, height, main, transactions, body) VALUES (?, ?, ?, 1, 0, ?)",
            [(block_id, each.parent, each.height, seal(block_id, each.raw)) for block_id, each in way],
        )
        decided = [(each.height,) for _, each in way if each.changes_voters]
        connection.executemany("INSERT OR REPLACE INTO decisions VALUES (?)", decided)

    # ------------------------------------------------------------------------------------------------- the state

    def aim(self, target: Judged) -> Joining:
        """Fetch the state of this header; of what is here already only that which differs."""
        if self.joining is None:
            self.joining = Joining(target.header.state_root, here=self._here)
        elif self.joining.root != target.header.state_root:
            self.joining.turn_to(target.header.state_root)
        self.target = target
        with self._database.portion():
            self._database.put("target", encode((target.header.raw, encode_votes(target.votes))))
            self._database.put("joining", self.joining.encode())
        return self.joining

    def take(self, peer: str, request: GetPart, reply: bytes, now_ms: int) -> None:
        """Store what a reply shows.  Raises :class:`Refused` as :meth:`~chain.protocol.joining.Joining.take` does."""
        joining = self.joining
        fetched = None if joining is None else joining.take(peer, request, reply, now_ms)
        if joining is not None and fetched is not None:
            with self._database.portion():
                self._replace(fetched)
                self._database.put("joining", joining.encode())
                self._database.put("total", encode((fetched.total,)))

    def _replace(self, fetched: Fetched) -> None:
        """These are all entries of a part."""
        connection, part = self._database.connection, fetched.part
        between = "SELECT key FROM laid WHERE at BETWEEN ? AND ?"
        here = connection.execute(between, (place(part.first), place(part.last))).fetchall()
        laid = zip(fetched.rows, fetched.entries, strict=True)
        connection.executemany(_LAY, [(place(entry), key, seal(key, value)) for (key, value), entry in laid])
        if here:
            self._change({key for (key,) in here}, fetched)
        else:
            self._derived.graft(part.first, fetched.entries)

    def _change(self, here: set[bytes], fetched: Fetched) -> None:
        """Of these keys, and others that share all bits that a place has, those of the part were here before."""
        hashes = {key: sha256(key).digest() for key in here.difference(key for key, _ in fetched.rows)}
        gone = {key_hash: key for key, key_hash in hashes.items() if key_hash in fetched.part}
        self._database.connection.executemany(
            "DELETE FROM laid WHERE at = ? AND key = ?", [(place(key_hash), key) for key_hash, key in gone.items()]
        )
        there = {entry[:HASH_BYTES]: entry[HASH_BYTES:] for entry in fetched.entries}
        self._derived.grow({**dict.fromkeys(gone), **there})

    def _here(self, part: Part) -> bytes:
        return pages.subtree(self._derived.fetch, self._database.number("entries"), part.first, part.depth)

    # ------------------------------------------------------------------------------------------------- the end

    def finish(self, advance: Callable[[int], None]) -> Header:
        """Make the home's database of what is here (:mod:`chain.disk.arrived`); its header.

        ``advance`` is told of entries that are done.  Raises :class:`OperatorError`.
        """
        target = self.target
        if target is None or self._derived.root != target.header.state_root:
            raise corrupt(self._database.path, "what was fetched is not what is here")
        make_home(self._database, target, self.path, self.genesis, advance)
        self._is_made = True
        return target.header


def _waiting(heading: Heading) -> Waiting:
    header: VerifiedHeader = heading.header
    raw = encode((header.raw, heading.ballot.raw))
    return Waiting(header.height, header.parent, raw, heading.ballot.changes_voters)
