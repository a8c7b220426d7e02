"""Recheck a stored chain from its genesis, trusting nothing that was stored.

Every block of the main chain is decoded, its signatures and roots are checked, and it is added to a fresh
:class:`Blockchain`, which judges leader, slot, height and votes and executes it.  What the database says beside
the blocks (state, votes, finality) must then be what follows from them.  Blocks beside the main chain are judged
likewise, but not executed: only a branch that wins ever is.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from chain.blockchain import Blockchain
from chain.blocks import Block, VerifiedHeader, assemble, decode_block, verify_header
from chain.blocktree import BlockTree, Node
from chain.errors import Reason, Refused
from chain.genesis import Genesis
from chain.keys import did_from_key, self_test
from chain.registry import decode_record, encode_record, read_rating_key
from chain.storage import Reader
from chain.transactions import Transaction, VerifiedTransaction, verify_transaction

# Decoded blocks that wait for their turn: twice the threads keeps all of them busy, and 16 blocks of 900 kB are
# what memory has to hold.
_THREADS = min(8, os.cpu_count() or 1)
_AHEAD_BLOCKS = 2 * _THREADS
# Rows of the database read at once; 16 of the largest blocks are 14 MB.
_READ_BLOCKS = 16
# The fresh chain keeps what it can still undo; nothing final is undone, so it is dropped this often.
_SETTLE_BLOCKS = 64
# Differing state rows are named up to here; the rest is counted.
_MAX_NAMED_ROWS = 20
_ALL = 2**62


class Problem(NamedTuple):
    """Something wrong, and the height of the block, or of the state, that it is wrong at."""

    height: int
    what: str


@dataclass(slots=True)
class Report:
    """What was checked, and what was found.  ``proven_height`` is what the main chain's own votes make final."""

    head_height: int
    finalized_height: int
    proven_height: int = 0
    state_height: int = 0
    blocks: int = 0
    transactions: int = 0
    side_blocks: int = 0
    state_rows: int = 0
    problems: list[Problem] = field(default_factory=list)


class _Wrong(Exception):
    """The main chain cannot be followed beyond here."""

    def __init__(self, height: int, what: str) -> None:
        super().__init__(height, what)
        self.problem = Problem(height, what)


def recheck(reader: Reader, genesis: Genesis, advance: Callable[[int], None]) -> Report:
    """Check everything that ``reader`` shows; the caller holds it :meth:`Reader.consistent`.

    ``advance`` is told the number of signatures checked since it was last called; :func:`signatures` is the sum.
    Raises :class:`InvariantBroken` where the linked libraries do not follow the rule of signatures.
    """
    self_test()
    return _Recheck(reader, genesis, advance).run()


def signatures(reader: Reader) -> int:
    """How many signatures the main chain holds."""
    return sum(1 + transactions for _, _, transactions in reader.summaries(0, _ALL))


class _Recheck:
    def __init__(self, reader: Reader, genesis: Genesis, advance: Callable[[int], None]) -> None:
        self._reader = reader
        self._genesis = genesis
        self._advance = advance
        self._report = Report(reader.head_height(), reader.finalized_height())
        self._problems = self._report.problems
        self._chain = Blockchain(genesis)
        self._side: list[VerifiedHeader] = []
        self._branch_points: dict[bytes, Node] = {}

    def run(self) -> Report:
        with ThreadPoolExecutor(_THREADS) as pool:
            self._read_side(pool)
            complete = self._follow_main(pool)
        proven = self._judge_side(complete=complete)
        self._report.proven_height = self._chain.finalized.height
        if complete:
            self._judge_finality(proven)
        self._problems.sort(key=lambda problem: problem.height)
        return self._report

    def _blame(self, height: int, what: str) -> None:
        self._problems.append(Problem(height, what))

    # ----------------------------------------------------------------------------------------- the main chain

    def _follow_main(self, pool: ThreadPoolExecutor) -> bool:
        """Execute the main chain as far as it can be followed; whether that was all of it."""
        try:
            state_height = self._state_height()
            parents = {header.parent for header in self._side}
            self._reached(state_height, parents)
            for block in self._main_blocks(pool):
                self._extend(block)
                self._reached(state_height, parents)
                self._advance(1 + len(block.transactions))
        except _Wrong as wrong:
            self._problems.append(wrong.problem)
            return False
        if state_height > self._report.head_height:
            self._blame(state_height, "the stored state is of this height, above the head")
        return True

    def _extend(self, block: Block) -> None:
        height = block.header.height
        try:
            self._chain.add(block, arrived_in_slot=True)
        except Refused as refusal:
            raise _Wrong(height, str(refusal)) from refusal
        if self._chain.head.header.id != block.id:
            raise _Wrong(height, "the block does not extend the one before it")
        self._report.blocks += 1
        self._report.transactions += len(block.transactions)

    def _reached(self, state_height: int, parents: set[bytes]) -> None:
        """Look at what has to be seen while the head is where it is."""
        head = self._chain.head
        if head.header.id in parents:
            self._branch_points[head.header.id] = head
        if head.header.height == state_height:
            self._compare_state(head)
        if self._chain.unsettled >= _SETTLE_BLOCKS:
            self._chain.settle()

    def _main_blocks(self, pool: ThreadPoolExecutor) -> Iterator[Block]:
        """The stored main chain with every signature and transaction root checked, oldest first."""
        ahead: deque[tuple[bytes, int, Future[Block]]] = deque()
        for block_id, height, raw in self._main_rows():
            ahead.append((block_id, height, pool.submit(_checked_block, raw, self._genesis.id)))
            if len(ahead) > _AHEAD_BLOCKS:
                yield _result(*ahead.popleft())
        while ahead:
            yield _result(*ahead.popleft())
        if self._gap is not None:
            raise _Wrong(*self._gap)

    def _main_rows(self) -> Iterator[tuple[bytes, int, bytes]]:
        """``(id, height, encoded block)`` up to the head, or up to where a height is not there exactly once."""
        self._gap: Problem | None = None
        start = 1
        while start <= self._report.head_height:
            rows = list(self._reader.summaries(start, _READ_BLOCKS))
            raws = self._reader.raw_blocks(start, _READ_BLOCKS)
            for expected, (block_id, height, _), raw in zip(
                range(start, start + _READ_BLOCKS), rows, raws, strict=False
            ):
                if height != expected:
                    problem = "missing from the main chain" if height > expected else "on the main chain twice"
                    self._gap = Problem(min(height, expected), f"a block is {problem}")
                    return
                yield bytes(block_id), height, raw
            start += _READ_BLOCKS
