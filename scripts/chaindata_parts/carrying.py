"""A chain out of a home into a file, and out of a file into a home."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chain.base.errors import OperatorError, Refused
from chain.branches.blockchain import Added
from chain.content.blocks import Block
from chain.disk.bodies import Missing
from chain.disk.reader import Reader
from chain.disk.recheck import checked_block
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from chain.protocol.production import is_forgotten, said_by
from p2p.local.home import Home, locked
from scripts.chaindata_parts.chainfile import ChainFile, Part, Start, open_chain, write_chain

_READ_BLOCKS = 64


# ------------------------------------------------------------------------------------------------------- out of one


def export(reader: Reader, file: Path, height: int | None, advance: Callable[[int], None]) -> Start:
    """Write the main chain up to a final ``height``, by default the last one; what it was.

    Raises :class:`OperatorError`, also where a block is not here, or damaged.
    """
    start = what_to_export(reader, height)
    write_chain(file, start, _blocks(reader, start), advance)
    return start


def what_to_export(reader: Reader, height: int | None) -> Start:
    """What a file is to hold.  Raises :class:`OperatorError`."""
    final = reader.finalized_height()
    last = final if height is None else height
    if not 1 <= last <= final:
        raise OperatorError(f"this home's chain is final from height 1 to {final}; name one of these with --to")
    if reader.oldest_body() > 1:
        raise OperatorError(
            f"this home has not what blocks below height {reader.oldest_body():,} said (it dropped that, or joined by "
            "state); export from one whose mode is archive"
        )
    ((tip, _, _),) = reader.summaries(last, 1)
    return Start(reader.genesis.id, last, bytes(tip))


def _blocks(reader: Reader, start: Start) -> Iterator[bytes]:
    height = 1
    while height <= start.height:
        try:
            count = 0
            for raw in reader.branch(start.tip, height):
                yield raw
                count += 1
                if count == _READ_BLOCKS:  # no read stays open for long: the log of a running node would grow
                    break
        except Refused as refusal:
            raise OperatorError(
                f"block {height:,} is damaged in {reader.path} ({refusal}); start the node, which fetches it from its "
                "peers, and export again"
            ) from refusal
        height += count


# ---------------------------------------------------------------------------------------------------------- into one


@dataclass
class Taken:
    """What came of an import: how many blocks are new, which bodies came back, and where the home stands."""

    blocks: int = 0
    transactions: int = 0
    restored: int = 0
    height: int = 0
    finalized_height: int = 0
    is_signing_lost: bool = False


def take(home: Home, file: Path, pool: Executor, advance: Callable[[int], None]) -> Taken:
    """Bring a home up to the chain in ``file``: everything is checked and executed as if it came from a stranger.

    What is imported is durable part by part, so that it goes on where it was interrupted.  Raises
    :class:`OperatorError`; what came before the mistake is kept.
    """
    with locked(home.path), closing(Storage(home.database, home.genesis)) as storage, open_chain(file) as source:
        if source.start.genesis != home.genesis.id:
            raise OperatorError(f"{file} is of another network than {home.path}; import it into a home of that one")
        storage.bind(home.secret.public)
        if home.config.mode == "pruned":
            storage.bodies.overwrite()
        return _Taking(home, file, storage).run(source, pool, advance)


class _Taking:
    def __init__(self, home: Home, file: Path, storage: Storage) -> None:
        self._home = home
        self._file = file
        self._storage = storage
        self._chain, self._signing = storage.load()
        self._taken = Taken()
        self._beside = False

    def run(self, source: ChainFile, pool: Executor, advance: Callable[[int], None]) -> Taken:
        """All of the file."""
        with closing(Reader(self._home.database, self._home.genesis)) as reader:
            for part in source.parts():
                self._take(part, reader, pool)
                advance(len(part.blocks))
            self._check_end(source.start.tip)
            self._complete(reader)
        head, final = self._chain.head.header, self._chain.finalized
        self._taken.height, self._taken.finalized_height = head.height, final.height
        return self._taken

    def _take(self, part: Part, reader: Reader, pool: Executor) -> None:
        head = self._chain.head.header.height
        known = [bytes(block_id) for block_id, _, _ in reader.summaries(part.first, len(part.blocks))]
        checking = [pool.submit(checked_block, raw, self._home.genesis.id) for raw in part.blocks]
        adopted: list[Block] = []
        for height, each in enumerate(checking, part.first):
            try:
                block = each.result()
                if height <= head and block.id == known[height - part.first]:
                    self._restore(block, height)
                    continue
                added = self._add(block, height)
                self._beside = self._chain.head.header.id != block.id
            except Refused as refusal:
                self._store(adopted)
                raise self._refused(part, height, str(refusal)) from refusal
            if added.abandoned:  # what this home had above what is final lost
                self._store(adopted)
                self._store(added.adopted, added.abandoned)
                adopted = []
            else:
                adopted += added.adopted
        self._store(adopted)

    def _refused(self, part: Part, height: int, why: str) -> OperatorError:
        return OperatorError(
            f"{self._file}: block {height:,}, in the part that begins at byte {part.at}, is refused ({why}); what "
            "comes before it is imported, and the file is not to be trusted: export it again from a home that is"
        )

    def _add(self, block: Block, height: int) -> Added:
        """A block that is not on this home's chain: it goes on, or stands beside what is not final."""
        if height <= self._chain.finalized.height:
            raise OperatorError(
                f"{self._file} holds another block {height:,} than {self._home.path}: the two chains part there; "
                "import it into a home of its own"
            )
        if block.header.height != height or block.header.parent not in self._chain.tree:
            raise OperatorError(
                f"{self._file}: block {height:,} does not stand on this home's chain; import it into a home of its own"
            )
        added = self._chain.add(block, arrived_in_slot=True)
        if self._signing is not None and self._spoke_elsewhere(self._signing):
            self._signing, self._taken.is_signing_lost = None, True
        return added

    def _restore(self, block: Block, height: int) -> None:
        """A body that was dropped or damaged comes back."""
        if self._storage.bodies.missing(height, 1) == [Missing(height, block.id)]:
            self._storage.bodies.restore(block)
            self._taken.restored += 1

    def _store(self, adopted: Sequence[Block], abandoned: Sequence[Block] = ()) -> None:
        if not adopted:
            return
        commit = Commit(
            abandoned=tuple(abandoned),
            adopted=tuple(adopted),
            finalized_height=self._chain.finalized.height,
            settled=self._chain.settle(),
            is_signing_lost=self._taken.is_signing_lost,
        )
        self._storage.commit([commit])
        self._taken.blocks += len(adopted)
        self._taken.transactions += sum(len(block.transactions) for block in adopted)

    def _check_end(self, tip: bytes) -> None:
        """Raises :class:`OperatorError` where the file's last block is not on the chain that this home has now."""
        if self._beside and self._chain.head.header.id != tip:
            raise OperatorError(
                f"what {self._home.path} has is no less than {self._file}, and not the same: start the node, which "
                "decides between the two with its peers"
            )

    def _spoke_elsewhere(self, signing: SigningState) -> bool:
        """Whether the file shows that this key signed what this home does not know of."""
        said = said_by(self._home.secret.public, self._chain)
        return any(is_forgotten(statement, signing) for statement in said)

    def _complete(self, reader: Reader) -> None:
        """Where every body is here again, the home says so."""
        oldest = reader.oldest_body()
        if oldest > 1 and not self._storage.bodies.missing(1, oldest - 1):
            self._storage.bodies.lower(1)
