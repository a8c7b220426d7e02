"""The storage that nodes have, on files that end as a disk leaves them.

A virtual file system under SQLite would have to be built into the SQLite that Python comes with.  So the files are
looked at from outside: between commits everything was synced; around the commit in which the machine dies, what changed
is what a power cut can lose in part.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random

from chain.base.errors import OperatorError
from chain.branches.blockchain import Blockchain
from chain.consensus.restart import Restart
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.places import tally_of
from chain.disk.storage import Storage
from chain.disk.stored import is_bare, stored_finality, trusted_block
from chain.protocol.events import Commit, SigningState
from scripts.simulation.acts import Damage
from scripts.simulation.arriving import arrive
from scripts.simulation.damage import Files, flipped_log, flipped_tables, lied, torn, with_flips
from scripts.simulation.disk import Disk
from scripts.simulation.settings import Violation

# The log is folded into the tables after so many pages; nodes do it after 4,000, which is after most histories.
CHECKPOINT_PAGES = (20, 60, 200, 1_000)


class RealDisk(Disk):
    """A database in ``folder``, with what it is known to hold beside it in memory.

    Whatever an honest disk had acknowledged is there after a crash.  What a damaged one holds is refused, or it is what
    once was durable, and then ``is_set_back``.
    """

    def __init__(self, genesis: Genesis, signing: SigningState | None, folder: Path) -> None:
        super().__init__(genesis, signing)
        self.folder = folder
        folder.mkdir()
        self._path = folder / DATABASE
        self._log = folder / f"{DATABASE}-wal"
        self._tally = tally_of(self._path)
        self._is_damaged = False
        self._copied: Files | None = None
        # What was durable at some time: a damaged disk shows some of it, or nothing.
        self._signed = {signing}
        self._heads = {b""}
        # What one torn commit may leave, beside what is known.
        self._torn: Commit | None = None
        Storage.create(self._path, genesis, signing)
        self._storage: Storage | None = None
        self._pages = CHECKPOINT_PAGES[sum(folder.name.encode()) % len(CHECKPOINT_PAGES)]

    # ------------------------------------------------------------------------------------------------ the process

    def commit(self, commit: Commit) -> None:
        """Make a commit durable.  Raises :class:`OperatorError` where the damaged disk shows only now."""
        with self.told():
            self._open().commit([commit])
        self.note(commit)
        self._remember()

    def tear(self, commit: Commit, random: Random) -> None:
        before, tally = self._files(), self._read_tally()
        try:
            with self.told():
                self._open().commit([commit])
        except OperatorError:  # it dies anyway
            return
        self._torn = commit
        self._leave(torn(before, self._files(), random))
        self._put_tally(tally)  # that comes last

    @contextmanager
    def told(self) -> Iterator[None]:
        """What the operator reads, without the name of a folder that is another in each run."""
        try:
            yield
        except OperatorError as refusal:
            if not self._is_damaged:
                raise Violation(f"an honest disk is refused: {refusal}") from refusal
            raise OperatorError(str(refusal).replace(str(self.folder), "HOME")) from refusal

    def crash(self) -> None:
        if self._storage is not None:
            self._leave(self._files())

    def load(self) -> Blockchain:
        with self.told():
            chain, signing = self._open().load()
            found = self._found(signing)
        self.is_torn_whole = False
        if self._torn is not None and found.contents() != self.contents():
            self.note(self._torn)
            self._remember()
            self.is_torn_whole = found.contents() == self.contents()
        self._torn, storage = None, self._storage
        self._judge(chain, found)
        if self._storage is not storage:  # its signing state is given up, and the chain reads from where it was
            chain, _ = self._open().load()
        self.is_unsound = self._is_damaged and not self._is_sound()
        return chain

    def sign_restart(self, restart: Restart) -> None:
        with self.told():
            self._open().sign_restart(restart)
        super().sign_restart(restart)
        self._remember()
        self.crash()

    def begin_with(self, other: Disk) -> None:
        assert isinstance(other, RealDisk)
        super().begin_with(other)
        assert self.settled is not None
        self.crash()
        blocks = [other.main[height] for height in sorted(other.main)]
        arrive(self._path, self.genesis, blocks, self.settled.header, other._path, seed=self.finalized)
        self._remember()

    def replacement(self) -> RealDisk:
        self.crash()
        number = int(self.folder.suffix[1:] or 0) + 1
        return RealDisk(self.genesis, None, self.folder.with_suffix(f".{number}"))

    @property
    def may_be_lost(self) -> bool:
        return super().may_be_lost or self.is_unsound

    # ------------------------------------------------------------------------------------------------- the damage

    def back_up(self) -> None:
        self._copied = self._files()
        self.backed_up_signing = self.signing

    def suffer(self, damage: Damage, random: Random) -> None:
        """What happened to the files since the machine died."""
        self._is_damaged = True
        match damage:
            case "removed":
                self._path.unlink()
                self.lose_all()
            case "signing":
                self._execute("DELETE FROM meta WHERE key = 'signing'")
            case "flipped meta":
                self._flip_meta(random)
            case "restored":
                self._write(self._copied or self._files())
                self._tally.unlink(missing_ok=True)
            case "lied":
                self._write(lied(self._files(), random))
                self._tally.unlink(missing_ok=True)
            case "flipped log":
                self._write(flipped_log(self._files(), random))
            case _:
                self._write(flipped_tables(self._files(), random))

    def _flip_meta(self, random: Random) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            rows = connection.execute("SELECT key, value FROM meta ORDER BY key").fetchall()
            key, value = random.choice(rows)
            with connection:
                connection.execute("UPDATE meta SET value = ? WHERE key = ?", (with_flips(value, random), key))

    def _execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(sql)

    # -------------------------------------------------------------------------------------------------- the judge

    def _judge(self, chain: Blockchain, found: Disk) -> None:
        """Compare what was found with what is known.  Raises :class:`Violation`."""
        head = chain.head.header.id if chain.head.header.height else b""
        is_same = found.contents() == self.contents()
        if not is_same and not self._is_damaged:
            raise Violation(f"an honest disk lost what was durable: {_differences(self, found)}")
        if found.signing not in (None, *self._signed) or head not in self._heads:
            raise Violation(f"a damaged disk showed what never was: {_differences(self, found)}")
        is_old = (found.signing, found.restart) != (self.signing, self.restart)
        if is_old and found.signing is not None and self._tally.exists():
            raise Violation(f"a home that was set back would sign on: {_differences(self, found)}")
        self.is_set_back = not is_same
        self.signing, self.restart = found.signing, found.restart
        self.finalized, self.main, self.blocks = found.finalized, found.main, found.blocks
        if is_old and not self.finds_out:
            self._lose_old_signing()

    def _is_sound(self) -> bool:
        with suppress(sqlite3.DatabaseError):
            (verdict,) = self._open()._connection.execute("PRAGMA integrity_check(1)").fetchone()
            return bool(verdict == "ok")
        return False

    def _lose_old_signing(self) -> None:
        """A validator whose signing state is older than what it signed has to treat it as lost."""
        self.crash()
        self._execute("DELETE FROM meta WHERE key IN ('signing', 'restart')")
        self.signing = self.restart = None
        self._open()

    def _found(self, signing: SigningState | None) -> Disk:
        """What the tables hold.  Raises :class:`OperatorError`."""
        database = self._open()._database
        found = Disk(self.genesis, signing)
        found.finalized, found.restart = stored_finality(database), self._open().restart
        rows = database.values("SELECT id, body, main FROM blocks ORDER BY number")
        for block_id, body, is_main in rows:
            block = trusted_block(body) if not is_bare(body) else self.blocks[bytes(block_id)][0]
            found.blocks[block.id] = (block, bool(is_main))
            if is_main:
                found.main[block.header.height] = block
        return found

    def _remember(self) -> None:
        self._signed.add(self.signing)
        self._heads.add(self.main[max(self.main)].id if self.main else b"")

    # -------------------------------------------------------------------------------------------------- the files

    def _open(self) -> Storage:
        if self._storage is None:
            self._storage = Storage(self._path, self.genesis)
            self._storage._connection.execute(f"PRAGMA wal_autocheckpoint = {self._pages}")
        return self._storage

    def _files(self) -> Files:
        return Files(self._path.read_bytes(), self._log.read_bytes() if self._log.exists() else b"")

    def _read_tally(self) -> bytes:
        return self._tally.read_bytes() if self._tally.exists() else b""

    def _put_tally(self, tally: bytes) -> None:
        """As it was: where there was none yet, since a backup was put back, there is none."""
        self._tally.unlink(missing_ok=True)
        if tally:
            self._tally.write_bytes(tally)

    def _leave(self, files: Files) -> None:
        """The process ends, and this is what is on the disk then; SQLite must not tidy up after it."""
        storage, self._storage = self._storage, None
        tally = self._read_tally()
        shutil.rmtree(self.folder)
        if storage is not None:
            storage.close()
        self.folder.mkdir()
        self._write(files)
        self._put_tally(tally)

    def _write(self, files: Files) -> None:
        self._path.write_bytes(files.tables)
        self._log.write_bytes(files.log)


def _differences(known: Disk, found: Disk) -> str:
    return (
        f"signed {known.signing} and found {found.signing}; final {known.finalized} and found {found.finalized}; "
        f"head {max(known.main, default=0)} and found {max(found.main, default=0)}; "
        f"{len(known.blocks)} blocks and found {len(found.blocks)}"
    )
