"""What survives the process: the one writer of a home's database, held by the running node.

A commit is one SQLite transaction under ``synchronous=FULL``: after it returns, it survives a power cut.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple

from chain.base.codec import decode, encode
from chain.base.errors import InvariantBroken, OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.branches.blockchain import Blockchain, Settled, Snapshot
from chain.branches.blocktree import genesis_header
from chain.branches.ledger import Ledger
from chain.branches.paged import PagedStore
from chain.consensus.electorate import BATCH_MAX
from chain.consensus.headers import decode_header
from chain.consensus.restart import MAX_RESTART_BYTES, Restart, read_restart
from chain.consensus.votecodec import decode_votes, encode_votes
from chain.consensus.votes import Votes
from chain.content.blocks import Block, decode_heading, encode_block, heading_of
from chain.content.genesis import Genesis
from chain.disk.bodies import Bodies, stored_waiting
from chain.disk.database import Database, corrupt
from chain.disk.derived import Derived
from chain.disk.places import Address, Place, tally_of
from chain.disk.postgres import made_on_server, open_database
from chain.disk.rebuild import replace_state
from chain.disk.rows import StoredRows
from chain.disk.schema import FORMAT, PUT_ENTRY, SCHEMA, STATE_INDEX, entry_row, seal, short_id
from chain.disk.stored import counted_from, stored_finality, trusted_block
from chain.protocol.events import Commit, SigningState
from chain.protocol.messages import RawItems
from chain.protocol.production import is_forgotten, said_by
from chain.register.registry import genesis_state

# Four numbers, an id and a tag.
_MAX_SIGNING_BYTES = 128


class Storage:
    """The one writer.  Its methods block; the node calls them in a worker thread."""

    def __init__(self, path: Place, genesis: Genesis) -> None:
        """Open a home's database.  Raises :class:`OperatorError`.

        Where it is set back, what was signed last is not in it, and is lost from now on.
        """
        self.path = path
        self.genesis = genesis
        self._database = open_database(path, genesis, read_only=False)
        self._connection = self._database.connection
        self.is_set_back = self._database.is_set_back
        self._derived = Derived(self._database)
        self._rows: StoredRows | None = None
        if self.is_set_back:
            self.commit([Commit(is_signing_lost=True)])

    @staticmethod
    def create(
        path: Place, genesis: Genesis, signing: SigningState | None, *, exported: SigningState | None = None
    ) -> None:
        """Make an empty database, whole or not at all.  ``signing`` is None where this key may have signed before.

        ``exported`` is what left this home, which then signs nothing until it is imported.  Raises
        :class:`OperatorError` where the file exists or cannot be written.
        """
        known = {"signing": signing, "exported": exported}
        if isinstance(path, Address):
            with made_on_server(path) as database:
                _fill(database, genesis, known)
            tally_of(path).unlink(missing_ok=True)
            return
        if path.exists():
            raise OperatorError(f"{path} exists already; move it away first")
        draft = path.with_name(f"{path.name}.draft")
        try:
            draft.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA journal_mode = OFF")  # a draft that fails is thrown away
                connection.executescript("BEGIN;" + SCHEMA + STATE_INDEX)
                _fill(Database.around(draft, connection), genesis, known)
                connection.execute("COMMIT")
                connection.execute("PRAGMA journal_mode = WAL")
            tally_of(path).unlink(missing_ok=True)
            draft.rename(path)
        except (sqlite3.Error, OSError) as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise OperatorError(f"{path} cannot be written ({error}); make room for it and try again") from error

    @property
    def bodies(self) -> Bodies:
        """What its blocks say."""
        return Bodies(self._database, self.genesis)

    def load(self) -> tuple[Blockchain, SigningState | None]:
        """The chain as it was when the process ended, and what this validator signed last.

        That is lost, durably, where a block in here holds more by its key: the database was put together from two.
        Raises :class:`OperatorError` where it is damaged: the tree of the state must have its header's root, and every
        block after it must apply.  No entry is read before it is needed, and whatever is read is checked then.
        """
        try:
            return self._load()
        except (Refused, InvariantBroken) as error:
            raise corrupt(self.path, str(error)) from error

    def _load(self) -> tuple[Blockchain, SigningState | None]:
        database = self._database
        signing = None if self.is_exported else self._signing("signing")
        chain = Blockchain(self.genesis, self._snapshot())
        blocks = "SELECT id, body, 0 FROM blocks WHERE height > ? AND main = ? ORDER BY height"
        settled = chain.finalized.height
        for _, body, _ in database.values(blocks, (settled, 1)):
            chain.add(trusted_block(body), arrived_in_slot=True)
        head = database.meta("head")
        if head is not None and chain.head.header.id != head:
            raise Refused(Reason.MALFORMED, "blocks are missing")
        chain.restore_finality(stored_finality(database))
        head = chain.head.header.id
        for _, body, _ in database.values(blocks, (settled, 0)):
            with contextlib.suppress(Refused):  # what lost for good since then
                chain.add(trusted_block(body), arrived_in_slot=True)
        chain.stay(head)
        key = database.meta("signer")
        said = said_by(key, chain) if key is not None and signing is not None else ()
        if signing is not None and any(is_forgotten(statement, signing) for statement in said):
            self.commit([Commit(is_signing_lost=True)])
            signing = None
        return chain, signing

    def _snapshot(self) -> Snapshot:
        """The stored state, which the chain reads by a connection of its own, with the block that it is of."""
        header, votes = self._database.meta("snapshot_header"), self._database.meta("snapshot_votes")
        if header is None or votes is None:
            at = genesis_header(self.genesis, Ledger(self.genesis).state_root)
            after = Votes.genesis(self.genesis.validators, self.genesis.batch)
        else:
            at, after = decode_header(header), decode_votes(votes)
        if self._rows is None:
            self._rows = StoredRows(open_database(self.path, self.genesis, read_only=True), at.height)
        return Snapshot(at, after, PagedStore(self._rows, self._database.number("entries")))

    def count_transactions(self) -> int:
        """Transactions on the main chain, from the height :attr:`counted_from` on."""
        return self._database.number("transactions")

    @property
    def counted_from(self) -> int:
        """From which height on it knows how many there are."""
        return counted_from(self._database)

    def waiting(self) -> tuple[bytes, ...]:
        """What this node had acknowledged and no block held when it last stopped cleanly, encoded and not checked.

        Raises :class:`OperatorError` where that is damaged.
        """
        with self._database.translated():
            return stored_waiting(self._database)

    @property
    def is_exported(self) -> bool:
        """Whether the signing state left this home; it signs nothing until one is imported."""
        return self._database.meta("exported") is not None

    @property
    def restart(self) -> Restart | None:
        """The restart that this home signed last, if it is to speak from it."""
        raw = self._database.meta("restart")
        with self._database.translated():
            return None if raw is None else read_restart(decode(raw, max_bytes=MAX_RESTART_BYTES, max_items=BATCH_MAX))

    def sign_restart(self, restart: Restart) -> None:
        """Note, durably, that this home signed a restart: for one that is new it gives up its signing state."""
        known = self.restart
        with self._database.transaction():
            self._database.put("restart", encode(restart))
            if known is None or not known.is_same(restart):
                self._connection.execute("DELETE FROM meta WHERE key = 'signing'")

    def bind(self, key: bytes) -> None:
        """What is signed from here is signed with ``key``, now and at every later start.

        What one key signed says nothing about another.  Raises :class:`OperatorError` for a second one.
        """
        bound = self._database.meta("signer")
        if bound is None:
            with self._database.transaction():
                self._database.put("signer", key)
        elif bound != key:
            raise OperatorError(
                f"{self.path} knows what {did_from_key(bound)} signed, and the key beside it is {did_from_key(key)}; "
                "put the old key back, and make the new one a home of its own with `python node.py init --key FILE`"
            )

    def export_signing(self) -> SigningState:
        """Give the signing state away: once this returns, durably, the home has none.  Asked again, it says the same.

        Raises :class:`OperatorError` where there is none to give, or the blocks in here know better.
        """
        exported = self._signing("exported")
        if exported is not None:
            return exported
        _, signing = self.load()
        if signing is None:
            raise OperatorError(
                f"the signing state in {self.path} was lost; make the new home with `python node.py init --key FILE` "
                "instead: it signs again once the chain made final that it starts anew"
            )
        with self._database.transaction():
            self._database.put("exported", encode(astuple(signing)))
            self._connection.execute("DELETE FROM meta WHERE key = 'signing'")
        return signing

    def import_signing(self, key: bytes, signing: SigningState) -> None:
        """Let this home sign with ``key`` above ``signing``, durably.

        Raises :class:`OperatorError` where the key is known to have signed since, or gave it up for a restart.
        """
        known = self._signing("exported") or self._signing("signing")
        if known is None and self.restart is not None:
            raise OperatorError(
                f"what this key signed before, {self.path} gave up for a restart that may still come: start the node, "
                "it signs again by itself"
            )
        known = known or SigningState()
        if signing.slot < known.slot or signing.mhg < known.mhg or self._has_spoken_since(key, signing):
            raise OperatorError(
                f"this key signed blocks after slot {signing.slot}, where the export ends; export again on the machine "
                "that signed last"
            )
        with self._database.transaction():
            self._database.put("signing", encode(astuple(signing)))
            self._connection.execute("DELETE FROM meta WHERE key = 'exported'")

    def _signing(self, key: str) -> SigningState | None:
        raw = self._database.meta(key)
        return None if raw is None else SigningState(*decode(raw, max_bytes=_MAX_SIGNING_BYTES))

    def _has_spoken_since(self, key: bytes, signing: SigningState) -> bool:
        rows = self._database.values("SELECT id, body, 0 FROM blocks WHERE main = 1 ORDER BY height DESC")
        for header, ballot in (decode_heading(heading_of(body)) for _, body, _ in rows):
            is_later = header.slot > signing.slot
            if not is_later and header.height <= signing.mhg:
                return False
            if is_later and header.proposer == key:
                return True
            if any(each.speaker == key and each.height > signing.mhg for each in ballot.attestations):
                return True
        return False

    def commit(self, commits: Sequence[Commit]) -> None:
        """Make these durable in their order, all or nothing.  Raises :class:`OperatorError`."""

        def write() -> None:
            for commit in commits:
                self._write(commit)

        self._database.write(write)
        settled = [commit.settled.header.height for commit in commits if commit.settled is not None]
        if settled and self._rows is not None:
            self._rows.height = settled[-1]

    def _write(self, commit: Commit) -> None:
        connection = self._connection
        moved = sum(self._insert(block, is_main=False) for block in (*commit.abandoned, *commit.side))
        moved += sum(self._insert(block, is_main=True) for block in commit.adopted)
        meta: list[tuple[str, bytes]] = []
        if moved:
            meta.append(("transactions", encode((self._database.number("transactions") + moved,))))
        if commit.adopted:
            meta.append(("head", max(commit.adopted, key=lambda block: block.header.height).id))
        elif commit.abandoned:  # it went back to where people let the chain go on, and nothing stands on that yet
            meta.append(("head", min(commit.abandoned, key=lambda block: block.header.height).header.parent))
        if commit.finalized_height is not None:
            meta.append(("finalized", encode((commit.finalized_height,))))
        if commit.settled is not None:
            self._settle(commit.settled)
            meta.append(("snapshot_header", commit.settled.header.raw))
            meta.append(("snapshot_votes", encode_votes(commit.settled.votes)))
        if commit.signing is not None:
            meta.append(("signing", encode(astuple(commit.signing))))
        if commit.is_signing_lost:
            connection.execute("DELETE FROM meta WHERE key IN ('signing', 'restart')")
        if commit.waiting is not None:
            meta.append(("waiting", RawItems(tuple(item.raw for item in commit.waiting)).encode()))
        for key, value in meta:
            self._database.put(key, value)

    def _settle(self, settled: Settled) -> None:
        rows = sorted((key, after) for key, (_, after) in settled.changes.items())
        connection = self._connection
        connection.executemany("DELETE FROM state WHERE key = ?", [(key,) for key, value in rows if value is None])
        connection.executemany(PUT_ENTRY, [entry_row(key, value) for key, value in rows if value is not None])
        self._derived.follow(settled.changes, settled.tree)
        before = self._database.meta("snapshot_header")
        self.bodies.strip_lost(0 if before is None else decode_header(before).height, settled.header.height)
        connection.executemany(
            "INSERT INTO decisions VALUES (?) ON CONFLICT DO NOTHING", [(height,) for height in settled.decisions]
        )
        if settled.tree is not None and self._derived.root != settled.header.state_root:
            raise InvariantBroken(f"what is to be stored is not the state at height {settled.header.height}")

    def _insert(self, block: Block, *, is_main: bool) -> int:
        """Store a block; by how many the transactions on the main chain grow."""
        connection, count = self._connection, len(block.transactions)
        known = connection.execute("SELECT main FROM blocks WHERE id = ?", (block.id,)).fetchone()
        if known is not None:
            connection.execute("UPDATE blocks SET main = ? WHERE id = ?", (int(is_main), block.id))
            return count * (int(is_main) - int(known[0]))
        body = seal(block.id, encode_block(block))
        (number,) = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM blocks").fetchone()
        connection.execute(
            "INSERT INTO blocks (number, id, parent, height, main, transactions, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, block.id, block.header.parent, block.header.height, int(is_main), count, body),
        )
        # A block beside the main chain was never executed: it may hold one twice, or two that begin alike.
        connection.executemany(
            "INSERT INTO transactions VALUES (?, ?) ON CONFLICT DO NOTHING",
            sorted((short_id(transaction.id), number) for transaction in block.transactions),
        )
        return count * is_main

    def replace_state(
        self, entries: Iterable[tuple[bytes, bytes]], advance: Callable[[int], None] = lambda _: None
    ) -> bytes:
        """Let these be all entries of the state; returns their root.

        The commit that says of which block they are follows: a home is of no use before.
        """
        return replace_state(self._database, entries, advance)

    def close(self) -> None:
        """End the connections; the log is folded into the database by the last one, which may write."""
        if self._rows is not None:
            self._rows.close()
        self._database.close()


def _fill(database: Database, genesis: Genesis, known: Mapping[str, SigningState | None]) -> None:
    """Put into empty tables what is in them at the genesis, within a transaction."""
    connection, derived, state = database.connection, Derived(database), genesis_state(genesis)
    connection.execute("INSERT INTO meta VALUES ('format', ?)", (encode(FORMAT),))
    connection.execute("INSERT INTO meta VALUES ('genesis', ?)", (genesis.id,))
    connection.executemany(PUT_ENTRY, [entry_row(key, value) for key, value in sorted(state.items())])
    derived.follow({key: (None, value) for key, value in state.items()}, None)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [(key, seal(key.encode(), encode(astuple(it)))) for key, it in known.items() if it is not None],
    )
