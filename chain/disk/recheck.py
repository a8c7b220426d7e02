"""Recheck a stored chain from its genesis, trusting nothing that was stored.

Every block of the main chain is decoded, its signatures and roots are checked, and it is added to a fresh
:class:`Blockchain`, which judges leader, slot, height and votes and executes it.  What the database says beside
the blocks (state, votes, finality) must then be what follows from them.  Blocks beside the main chain are judged
likewise, but not executed: only a branch that wins ever is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chain.base.errors import Reason, Refused
from chain.base.keys import did_from_key, self_test
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import BlockTree, TreeNode
from chain.consensus.headers import verify_header
from chain.consensus.votecodec import encode_votes
from chain.content.blocks import Block, assemble, decode_block, decode_heading
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction, VerifiedTransaction, verify_transaction
from chain.disk.entrynames import difference, name_of
from chain.disk.reader import Reader
from chain.disk.stored import is_bare
from chain.register.scores import noted
from chain.register.statekeys import MEMBERS, member_key, read_identity

# Decoded blocks that wait for their turn: two for each of eight workers keep all of them busy, and 16 blocks of 900 kB
# are what memory has to hold.
_AHEAD_BLOCKS = 16
# Rows of the database read at once; 16 of the largest blocks are 14 MB.
_READ_BLOCKS = 16
# The fresh chain keeps what it can still undo; nothing final is undone, so it is dropped this often.
_SETTLE_BLOCKS = 64
# Differing state rows are named up to here; the rest is counted.
_MAX_NAMED_ROWS = 20
_ALL = 2**62


class Checking(Protocol):
    """A block that is being checked elsewhere."""

    def result(self) -> Block:
        """The block, once it is.  Raises :class:`Refused`."""


class Executor(Protocol):
    """Who checks blocks beside the caller: one of :mod:`concurrent.futures`, or one that does so at once."""

    def submit(self, check: Callable[[bytes, bytes], Block], raw: bytes, chain_id: bytes, /) -> Checking:
        """Begin to call ``check``."""


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
    standings: int = 0
    decisions: int = 0
    problems: list[Problem] = field(default_factory=list)


class _Wrong(Exception):
    """The main chain cannot be followed beyond here."""

    def __init__(self, height: int, what: str) -> None:
        super().__init__(height, what)
        self.problem = Problem(height, what)


def recheck(reader: Reader, genesis: Genesis, executor: Executor, advance: Callable[[int], None]) -> Report:
    """Check everything that ``reader`` shows; the caller holds it :meth:`Reader.consistent`.

    ``executor`` checks signatures ahead of the execution, which waits for them in order.  ``advance`` is told the
    number of signatures checked since it was last called; :func:`signatures` is the sum.  What is wrong is in the
    report.  Raises :class:`InvariantBroken` where the linked libraries do not follow the rule of signatures.
    """
    self_test()
    return _Recheck(reader, genesis, executor, advance).run()


def signatures(reader: Reader) -> int:
    """How many signatures the main chain holds."""
    return sum(1 + transactions for _, _, transactions in reader.summaries(0, _ALL))


class _Recheck:
    def __init__(self, reader: Reader, genesis: Genesis, executor: Executor, advance: Callable[[int], None]) -> None:
        self._reader = reader
        self._genesis = genesis
        self._executor = executor
        self._advance = advance
        self._report = Report(reader.head_height(), reader.finalized_height())
        self._problems = self._report.problems
        self._chain = Blockchain(genesis)
        self._side: list[Block] = []
        self._branch_points: dict[bytes, TreeNode] = {}
        self._decisions: list[int] = []

    def run(self) -> Report:
        self._read_side()
        complete = self._follow_main()
        proven = self._judge_side(complete=complete)
        self._report.proven_height = self._chain.finalized.height
        if complete:
            self._judge_finality(proven)
        self._problems.sort(key=lambda problem: problem.height)
        return self._report

    def _blame(self, height: int, what: str) -> None:
        self._problems.append(Problem(height, what))

    # ----------------------------------------------------------------------------------------- the main chain

    def _follow_main(self) -> bool:
        """Execute the main chain as far as it can be followed; whether that was all of it."""
        try:
            state_height = self._state_height()
            parents = {block.header.parent for block in self._side}
            self._reached(state_height, parents)
            for block in self._main_blocks():
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
        header, expected = block.header, self._chain.head.header.height + 1
        if header.height > expected:
            raise _Wrong(expected, "no block of this height is on the main chain")
        try:
            self._chain.add(block, arrived_in_slot=True)
        except Refused as refusal:
            raise _Wrong(header.height, str(refusal)) from refusal
        if self._chain.head.header.id != block.id:
            raise _Wrong(header.height, "the block does not extend the one before it")
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
            settled = self._chain.settle()
            self._decisions += () if settled is None else settled.decisions

    def _main_blocks(self) -> Iterator[Block]:
        """The stored main chain with every signature and transaction root checked, oldest first."""
        ahead: deque[tuple[bytes, int, Checking]] = deque()
        for start in range(1, self._report.head_height + 1, _READ_BLOCKS):
            rows = list(self._reader.summaries(start, _READ_BLOCKS))
            raws = self._reader.raw_blocks(start, _READ_BLOCKS)
            for (block_id, height, _), raw in zip(rows, raws, strict=False):
                ahead.append((bytes(block_id), height, self._check(raw)))
                if len(ahead) > _AHEAD_BLOCKS:
                    yield _result(*ahead.popleft())
        while ahead:
            yield _result(*ahead.popleft())

    def _check(self, raw: bytes) -> Checking:
        return self._executor.submit(checked_block, raw, self._genesis.id)

    # -------------------------------------------------------------------------------------- state and finality

    def _state_height(self) -> int:
        try:
            header = self._reader.snapshot_header()
        except Refused as refusal:
            raise _Wrong(0, f"the header of the stored state cannot be read: {refusal}") from refusal
        self._report.state_height = 0 if header is None else header.height
        return self._report.state_height

    def _compare_state(self, head: TreeNode) -> None:
        """The stored state, its header and its votes against those at ``head``."""
        height = head.header.height
        stored_header, stored_votes = self._reader.snapshot_header(), self._reader.snapshot_votes()
        if stored_header is not None and stored_header.id != head.header.id:
            self._blame(height, "the stored state is of another block than the main chain's")
        if stored_header is not None and stored_votes != encode_votes(head.votes):
            self._blame(height, "the stored votes are not those that the headers cast")
        computed = dict(self._chain.ledger.state)
        wrong: list[str] = []
        for key, value in self._reader.state_rows():
            self._report.state_rows += 1
            expected = computed.pop(key, None)
            if expected is None:
                wrong.append(f"the stored state holds {name_of(key)}, which the chain does not")
            elif expected != value:
                wrong.append(f"{name_of(key)} is stored wrong: {difference(key, value, expected)}")
        wrong += [f"the stored state lacks {name_of(key)}" for key in sorted(computed)]
        wrong += self._compare_standings()
        wrong += self._compare_decisions()
        for what in wrong[:_MAX_NAMED_ROWS]:
            self._blame(height, what)
        if len(wrong) > _MAX_NAMED_ROWS:
            self._blame(height, f"{len(wrong) - _MAX_NAMED_ROWS} more rows of the state are wrong")

    def _compare_standings(self) -> Iterator[str]:
        """The stored scores against those that follow from the state at the head, as far as its policy was applied."""
        rescored = self._reader.rescored()
        view = self._chain.ledger.view()
        members = (key for key in self._chain.ledger.state if key.startswith(MEMBERS))
        computed = {read_identity(key): noted(view.policy, view.get(key)) for key in members}
        for member, stored in self._reader.noted():
            self._report.standings += 1
            expected = computed.pop(member, None)
            if expected is None:
                yield f"the stored standings rank {did_from_key(member)}, who is no member"
            elif stored != expected and (rescored is None or member_key(member) <= rescored):
                yield f"the stored standings give {did_from_key(member)} {stored} instead of {expected}"
        yield from (f"the stored standings lack {did_from_key(member)}" for member in sorted(computed))

    def _compare_decisions(self) -> Iterator[str]:
        """The stored heights of what was decided about who votes, which proofs begin at, against the chain's."""
        computed = {*self._decisions, *self._chain.ledger.decisions(self._report.state_height)}
        stored = set(self._reader.decisions())
        self._report.decisions = len(stored)
        for height in sorted(stored - computed):
            yield f"height {height} is stored as one that decided about validators, and decided nothing"
        for height in sorted(computed - stored):
            yield f"height {height} decided about validators, and that is not stored"

    def _judge_finality(self, proven_beside: int) -> None:
        """What is stored as final must be proven by the votes of this branch, or of one that was left."""
        report = self._report
        stored, proven = report.finalized_height, self._chain.finalized.height
        if not report.state_height <= stored <= report.head_height:
            between = f"{report.state_height}, the stored state's, to {report.head_height}, the head's"
            self._blame(stored, f"the height stored as final is not from {between}")
        elif not proven <= stored <= max(proven, proven_beside):
            self._blame(stored, f"stored as final up to here, where the votes make final what is up to {proven}")

    # ------------------------------------------------------------------------------------ beside the main chain

    def _read_side(self) -> None:
        """Check signatures and roots of the blocks beside the main chain; their headers stay in memory."""
        for block_id, height, _ in self._reader.summaries(0, _ALL, main=False):
            self._report.side_blocks += 1
            raw = self._reader.raw_block(bytes(block_id)) or b""
            try:
                block = _result(bytes(block_id), height, self._executor.submit(checked_stored, raw, self._genesis.id))
            except _Wrong as wrong:
                self._blame(height, f"{_beside(bytes(block_id))}: {wrong.problem.what}")
            else:
                self._side.append(Block(block.header, block.ballot, ()))  # a tree looks at no transactions

    def _judge_side(self, *, complete: bool) -> int:
        """Judge those headers, each on its branch; the largest height that a branch beside the main chain proves."""
        trees: dict[bytes, BlockTree] = {
            block_id: BlockTree(self._genesis, node.header, node.votes)
            for block_id, node in self._branch_points.items()
        }
        proven = 0
        for block in self._side:  # by height, so parents come first
            header = block.header
            tree = trees.get(header.parent)
            if tree is None:
                if complete:
                    self._blame(header.height, f"{_beside(header.id)}: its parent is not stored")
                continue
            try:
                judged = tree.check(header, block.ballot, solicited=True)
            except Refused as refusal:
                self._blame(header.height, f"{_beside(header.id)}: {refusal}")
                continue
            tree.insert(block, judged, arrived_in_slot=True)
            trees[header.id] = tree
            proven = max(proven, judged.votes.finalized)
        return proven


def checked_block(raw: bytes, chain_id: bytes) -> Block:
    """Decode a block and check its signatures and its transaction root.  Raises :class:`Refused`."""
    header, ballot, transactions = decode_block(raw)
    checked = verify_header(header, chain_id)
    return assemble(checked, ballot, [_checked(index, item, chain_id) for index, item in enumerate(transactions)])


def checked_stored(raw: bytes, chain_id: bytes) -> Block:
    """The same of a block of which a heading may be all that is left: without transactions then."""
    if not is_bare(raw):
        return checked_block(raw, chain_id)
    header, ballot = decode_heading(raw)
    return Block(verify_header(header, chain_id), ballot, ())


def _checked(index: int, transaction: Transaction, chain_id: bytes) -> VerifiedTransaction:
    try:
        return verify_transaction(transaction, chain_id)
    except Refused as refusal:
        raise Refused(Reason.INVALID_TRANSACTION, f"transaction {index}: {refusal}") from refusal


def _result(block_id: bytes, height: int, checking: Checking) -> Block:
    """The checked block of a row of the database.  Raises :class:`_Wrong`."""
    try:
        block = checking.result()
    except Refused as refusal:
        raise _Wrong(height, str(refusal)) from refusal
    if block.id != block_id or block.header.height != height:
        raise _Wrong(height, f"the block stored as {block_id.hex()[:16]} is another one")
    return block


def _beside(block_id: bytes) -> str:
    return f"block {block_id.hex()[:16]} beside the main chain"
