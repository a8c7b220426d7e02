"""Whether a home's database is what was written, row by row, and what of it cannot be checked any more.

What :mod:`chain.disk.recheck` executes from the genesis needs what every block said.  Here nothing is needed but what
is there: checksums of all rows, headers, votes and signatures as one chain, the state's root, the index of
transactions, and what stands above the stored state, executed on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from chain.base.codec import decode, encode
from chain.base.errors import OperatorError, Refused
from chain.base.keys import did_from_key, self_test
from chain.branches.blockchain import Blockchain, Snapshot
from chain.branches.paged import PagedStore
from chain.consensus.ballots import Ballot
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.judgement import judge
from chain.consensus.votecodec import decode_votes, encode_votes
from chain.consensus.votes import Votes
from chain.content.blocks import Block, decode_heading, heading_of
from chain.content.genesis import Genesis
from chain.disk.database import BLOCKS_AT_ONCE, DATABASE, Database
from chain.disk.inspection import header_of_genesis
from chain.disk.postgres import open_database
from chain.disk.reader import Reader
from chain.disk.recheck import checked_stored, recheck
from chain.disk.rows import StoredRows
from chain.disk.schema import BETWEEN, bounds, short_id, unseal
from chain.disk.scrub import rows_to_scrub, scrub
from chain.disk.stored import is_bare, oldest_body, policy_in_force, trusted_block
from chain.register.entries import Member
from chain.register.scores import Noted, noted
from chain.register.state import decode_entry
from chain.register.statekeys import MEMBERS, read_identity
from p2p.local.config import place_in

# Of one kind; the rest is counted.
MAX_NAMED = 50
_NOUGHT = encode((0,))
# What belongs to a database beside it, and may be there while it is in use.
_OWN = ("-wal", "-shm", "-commits", "-commits.new", ".draft")
_PLAIN = frozenset({"format", "genesis"})
_FETCHED = (
    "start the node: it fetches this block from its peers again; or bring it back from a file that was exported, with "
    "`python scripts/chaindata.py import`"
)
_RESTORED = "restore a backup, or run `python node.py init --resync`, which keeps the old one aside, and let it sync"


class Damage(NamedTuple):
    """A row that is wrong: its table, which one it is, what is wrong with it, and what to do."""

    table: str
    row: str
    what: str
    remedy: str


@dataclass
class Soundness:
    """What was checked, what was found, and what is gone; ``beside`` are other files that may hold what is."""

    rows: int = 0
    blocks: int = 0
    bodies: int = 0
    signatures: int = 0
    entries: int = 0
    oldest_body: int = 1
    executed_from_height: int = 1
    gone: str = ""
    beside: list[str] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    unnamed: int = 0

    def blame(self, table: str, row: object, what: str, remedy: str) -> None:
        """Something is wrong."""
        if len(self.damage) < MAX_NAMED:
            self.damage.append(Damage(table, str(row), what, remedy))
        else:
            self.unnamed += 1


Advance = Callable[[int], None]


class _Row(NamedTuple):
    """A block as it is stored, while it is checked elsewhere."""

    height: int
    id: bytes
    stored: bytes
    transactions: int
    checking: Future[tuple[VerifiedHeader, Ballot, Block | None]]


def rows_of(home: Path, genesis: Genesis) -> int:
    """How much there is to check: what ``advance`` is told of."""
    with closing(open_database(place_in(home), genesis, read_only=True)) as database:
        counts = [next(database.rows(f"SELECT count(*) FROM {table}"))[0] for table in ("blocks", "transactions")]
        return sum(map(int, counts)) + rows_to_scrub(database)


def examine(home: Path, genesis: Genesis, pool: Executor, advance: Advance) -> Soundness:
    """Check the whole database of a home, beside its node or not.  Raises :class:`OperatorError` where none is."""
    self_test()
    with closing(open_database(place_in(home), genesis, read_only=True)) as database, database.consistent():
        found = _Examination(database, genesis, pool, advance).run()
    if not found.damage and found.oldest_body == 1:
        with closing(Reader(place_in(home), genesis)) as reader, reader.consistent():
            for problem in recheck(reader, genesis, pool, lambda _count: None).problems:
                found.blame("blocks", f"height {problem.height}", problem.what, _RESTORED)
    return found


class _Examination:
    def __init__(self, database: Database, genesis: Genesis, pool: Executor, advance: Advance) -> None:
        self._database = database
        self._genesis = genesis
        self._pool = pool
        self._advance = advance
        self._found = Soundness()
        self._meta: dict[str, bytes] = {}
        self._snapshot: Header | VerifiedHeader = header_of_genesis(genesis)

    def run(self) -> Soundness:
        steps = self._check_file, self._check_meta, self._check_blocks, self._check_index, self._check_state
        for step in steps:
            try:
                step()
            except OperatorError as error:  # SQLite cannot read on in this table
                self._found.blame("the file", DATABASE, str(error).partition(";")[0], _RESTORED)
        return self._found

    def _rows(self, sql: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._database.rows(sql, parameters, at_once=BLOCKS_AT_ONCE)

    # ------------------------------------------------------------------------------------------------ what is plain

    def _check_file(self) -> None:
        is_file = isinstance(self._database.path, Path)  # a server checks its own files
        for (verdict,) in self._rows("PRAGMA integrity_check(10)") if is_file else ():
            if verdict != "ok":
                self._found.blame("the file", DATABASE, f"its pages are damaged: {verdict}", _RESTORED)
        if self._database.is_set_back:
            self._found.blame(
                "the file", DATABASE, "it lacks commits that were durable: the disk lost them, or it is an older copy",
                "start the node: it treats what it signed last as lost, and syncs",
            )  # fmt: skip

    def _check_meta(self) -> None:
        for key, stored in self._rows("SELECT key, value FROM meta"):
            self._found.rows += 1
            try:
                self._meta[key] = stored if key in _PLAIN else unseal(key.encode(), stored)
            except Refused:
                self._found.blame("meta", key, "its checksum is wrong", _RESTORED)
        with suppress(OperatorError):  # said just now
            self._found.oldest_body = oldest_body(self._database)
        if self._found.oldest_body > 1:
            self._found.gone = (
                f"what blocks 1 to {self._found.oldest_body - 1} said: their transactions, and whether they lead to "
                "the state; their headers and votes are checked"
            )
            if isinstance(self._database.path, Path):
                self._found.beside = sorted(_copies(self._database.path))

    # ------------------------------------------------------------------------------------------------- the main chain

    def _check_blocks(self) -> None:
        votes: Votes | None = Votes.genesis(self._genesis.validators, self._genesis.batch)
        parent: Header | VerifiedHeader = header_of_genesis(self._genesis)
        rows = self._rows("SELECT height, id, body, transactions FROM blocks WHERE main = 1 ORDER BY height")
        for row in self._checked(rows):
            self._advance(1)
            self._found.rows += 1
            heading = self._heading(row)
            if heading is None:
                votes = None
                continue
            header, ballot = heading
            if votes is not None and (header.height != parent.height + 1 or header.parent != parent.id):
                what = f"it does not stand on the block before it, {parent.id.hex()[:16]} at height {parent.height:,}"
                self._found.blame("blocks", f"height {header.height}", what, _RESTORED)
                votes = None
            if votes is not None:
                votes = self._judged(header, ballot, votes)
            parent = header
        self._check_finality(votes, parent)

    def _checked(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[_Row]:
        """Rows whose signatures are checked elsewhere, some ahead."""
        ahead: deque[_Row] = deque()
        for height, block_id, stored, count in rows:
            checking = self._pool.submit(_whole, block_id, stored, self._genesis.id)
            ahead.append(_Row(height, block_id, stored, count, checking))
            if len(ahead) > BLOCKS_AT_ONCE:
                yield ahead.popleft()
        yield from ahead

    def _heading(self, row: _Row) -> tuple[VerifiedHeader, Ballot] | None:
        """What the votes after a block follow from, also where the rest of it is damaged."""
        where = f"height {row.height}"
        try:
            found = row.checking.result()
        except Refused as refusal:
            self._found.blame("blocks", where, f"its body is damaged ({refusal})", _FETCHED)
            return _what_is_left(row)
        header, ballot, block = found
        if header.id != row.id or header.height != row.height:
            self._found.blame("blocks", where, "another block is stored in its place", _FETCHED)
            return None
        self._found.blocks += 1
        self._found.signatures += 1
        if block is not None:
            self._check_body(block, row.transactions)
        elif row.height >= self._found.oldest_body:
            self._found.blame("blocks", where, "what it said is not here, and should be", _FETCHED)
        return header, ballot

    def _check_body(self, block: Block, count: int) -> None:
        self._found.bodies += 1
        self._found.signatures += len(block.transactions)
        row = f"height {block.header.height}"
        if count != len(block.transactions):
            what = f"{count:,} transactions are noted, and it has {len(block.transactions):,}"
            self._found.blame("blocks", row, what, _RESTORED)
        for transaction in block.transactions:
            known = self._rows(
                "SELECT 1 FROM transactions JOIN blocks ON block = number WHERE short = ? AND id = ?",
                short_id(transaction.id), block.id,
            )  # fmt: skip
            if next(known, None) is None:
                what = f"the transaction {transaction.id.hex()[:16]} of {row} is not in the index"
                self._found.blame("transactions", transaction.id.hex()[:16], what, _FETCHED)

    def _judged(self, header: VerifiedHeader, ballot: Ballot, votes: Votes) -> Votes | None:
        try:
            after = judge(header, ballot, votes, self._genesis.id)
        except Refused as refusal:
            self._found.blame("blocks", f"height {header.height}", f"its votes are wrong: {refusal}", _RESTORED)
            return None
        raw = self._meta.get("snapshot_header")
        if raw == header.raw:
            self._snapshot = header
            if self._meta.get("snapshot_votes") != encode_votes(after):
                self._found.blame("meta", "snapshot_votes", "they are not those that the headers cast", _RESTORED)
        return after

    def _check_finality(self, votes: Votes | None, head: Header | VerifiedHeader) -> None:
        stored = self._meta.get("head")
        if stored is not None and stored != head.id:
            self._found.blame("meta", "head", "the main chain ends with another block", _RESTORED)
        if votes is not None and decode(self._meta.get("finalized", _NOUGHT), max_bytes=16)[0] > head.height:
            self._found.blame("meta", "finalized", "it is above the head", _RESTORED)
        if "snapshot_header" in self._meta and self._snapshot.height == 0 and votes is not None:
            self._found.blame("meta", "snapshot_header", "the state is of no block of the main chain", _RESTORED)

    # --------------------------------------------------------------------------------------------- index and state

    def _check_index(self) -> None:
        """Entries that lead nowhere, or to what was dropped."""
        rows = self._rows(
            "SELECT short, block, height FROM transactions LEFT JOIN blocks ON block = number "
            "WHERE height IS NULL OR (main = 1 AND height < ?)",
            self._found.oldest_body,
        )
        for short, number, height in rows:
            what = "it leads to no block" if height is None else f"it leads to what was dropped, at height {height:,}"
            self._found.blame("transactions", f"{short & (2**64 - 1):016x} of block {number}", what, _RESTORED)
        ((count,),) = self._rows("SELECT count(*) FROM transactions")
        self._found.rows += count
        self._advance(count)

    def _check_state(self) -> None:
        """Every page against the one above it, every entry against the tree, and the tables that follow from them."""
        for portion in scrub(self._database, is_held=True):
            self._advance(portion.rows)
            self._found.rows += portion.rows
            self._found.entries += portion.rows if portion.table == "state" else 0
            for damage in portion.damage:
                self._found.blame(*damage, _RESTORED)
        if not self._found.damage:
            self._check_standings()
            self._execute_above()

    def _execute_above(self) -> None:
        """Blocks above the stored state lead on from it; with every body, all of them do from the genesis."""
        if self._snapshot.height == 0:
            return
        self._found.executed_from_height = 1 if self._found.oldest_body == 1 else self._snapshot.height + 1
        votes = decode_votes(self._meta["snapshot_votes"])
        state = PagedStore(StoredRows(self._database, self._snapshot.height), self._database.number("entries"))
        chain = Blockchain(self._genesis, Snapshot(self._snapshot, votes, state))
        above = "SELECT id, body FROM blocks WHERE main = 1 AND height > ? ORDER BY height"
        rows = self._rows(above, self._snapshot.height)
        for block_id, stored in rows:
            block = trusted_block(unseal(block_id, stored))
            try:
                chain.add(block, arrived_in_slot=True)
            except Refused as refusal:
                self._found.blame("blocks", f"height {block.header.height}", str(refusal), _RESTORED)
                return

    def _check_standings(self) -> None:
        """The score of every member; where a new policy is being applied, of those to whom it was."""
        policy, rescored = policy_in_force(self._database), self._database.meta("rescored")
        members = self._database.values(BETWEEN, bounds(MEMBERS))
        scores = ((key, decode_entry(key, value)) for key, value, _ in members)
        asked = "SELECT score, level, suspended FROM standings WHERE member = ?"
        count = 0
        for key, entry in scores:
            count += 1
            if not isinstance(entry, Member) or (rescored is not None and key > rescored):
                continue
            found, stored = noted(policy, entry), next(self._rows(asked, key[1:]), None)
            if found != stored:
                what = f"{'nothing' if stored is None else Noted(*stored)} is noted, and it is {found}"
                self._found.blame("standings", did_from_key(read_identity(key)), what, _RESTORED)
        for table, sql in (
            ("standings", "SELECT count(*) FROM standings"),
            ("ranks", "SELECT coalesce(sum(members), 0) FROM ranks WHERE level = 0"),
        ):
            ((number,),) = self._rows(sql)
            self._found.rows += number if table == "standings" else 0
            if number != count:
                self._found.blame(table, "all", f"{number:,} are ranked, and there are {count:,} members", _RESTORED)


def _copies(database: Path) -> Iterator[str]:
    """Files that were put aside, and hold what the database held then."""
    for path in database.parent.glob(f"{database.name}*"):
        suffix = path.name.removeprefix(database.name)
        if suffix and suffix not in _OWN:
            yield path.name


def _whole(block_id: bytes, stored: bytes, chain_id: bytes) -> tuple[VerifiedHeader, Ballot, Block | None]:
    """A block with all its signatures checked; None where its heading is all that is left.  Raises :class:`Refused`."""
    raw = unseal(block_id, stored)
    block = checked_stored(raw, chain_id)
    return block.header, block.ballot, None if is_bare(raw) else block


def _what_is_left(row: _Row) -> tuple[VerifiedHeader, Ballot] | None:
    with suppress(Refused):
        header, ballot = decode_heading(heading_of(row.stored))
        return (VerifiedHeader(header), ballot) if header.id == row.id else None
    return None
