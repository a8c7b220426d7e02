"""What became final, read from the databases of the nodes.  Blocking: call it in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from chain.base.errors import OperatorError
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from scripts.testnet_parts.verdict import FinalChain

# Half a second of decoding when the blocks are full.
MAX_BLOCKS_A_READ = 32


class FinalReader:
    """Follows the final chain from height 1, in whichever home has more of it."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._readers: dict[Path, Reader] = {}
        self.height = 0

    def advance(self, home: Path, locate: Callable[[Transaction], int | None]) -> list[int]:
        """Read on in ``home``: the positions whose transactions are in newly final blocks."""
        found = (locate(transaction) for block in self.read(home) for transaction in block.transactions)
        return [position for position in found if position is not None]

    def read(self, home: Path) -> list[Block]:
        """Read on in ``home``: the newly final blocks, oldest first."""
        reader = self._reader(home)
        count = min(reader.finalized_height() - self.height, MAX_BLOCKS_A_READ)
        blocks = list(reader.blocks(self.height + 1, count)) if count > 0 else []
        self.height += len(blocks)
        return blocks

    def is_behind(self, home: Path) -> bool:
        """Whether ``home`` has final blocks that were not read yet."""
        return self._reader(home).finalized_height() > self.height

    def _reader(self, home: Path) -> Reader:
        if home not in self._readers:
            self._readers[home] = Reader(home / DATABASE, self._genesis)
        return self._readers[home]

    def close(self) -> None:
        """End the connections."""
        for reader in self._readers.values():
            reader.close()


def final_chains(homes: Iterable[Path], genesis: Genesis) -> list[FinalChain]:
    """The ids of every home's final blocks."""
    chains = []
    for home in homes:
        reader = Reader(home / DATABASE, genesis)
        try:
            with reader.consistent():
                ids = [row[0] for row in reader.summaries(1, reader.finalized_height())]
        finally:
            reader.close()
        chains.append(FinalChain(home.name, ids))
    return chains


def state_root_at(home: Path, genesis: Genesis, height: int) -> bytes | None:
    """The state root of the main chain's block at ``height``; None of the genesis."""
    if height == 0:
        return None
    reader = Reader(home / DATABASE, genesis)
    try:
        block = reader.block_at(height)
    finally:
        reader.close()
    if block is None:
        raise OperatorError(f"{home / DATABASE} lacks the final block {height:,}; run inspect_chain.py verify on it")
    return block.header.state_root
