"""The blocks of a branch whose headers are proven, in ranges from several peers at once.

What a peer was asked for is asked of another as soon as it is late; whichever comes first is taken.  Blocks wait here
until those before them are in the tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import Judged
from chain.consensus.headers import Header
from chain.content.blocks import Block
from chain.protocol.messages import MAX_BLOCKS_PER_REQUEST, GetBlocks
from chain.protocol.suppliers import Asked, Supplier, Suppliers

# So many that brought nothing yet are tried at a time; and as many ranges one peer has under way.
PROBES = 4
RANGES_AT_ONCE = 2
# Blocks on their way or waiting for an earlier one; as objects they take six times as much memory.
WINDOW_BYTES = 8_000_000
# What a block takes, as long as none came.
BLOCK_BYTES = 2_000


class Download:
    """What is missing of one branch, what is on its way, and what waits for an earlier block."""

    def __init__(self, suppliers: Suppliers) -> None:
        self._suppliers = suppliers
        self._blocks: dict[bytes, Block] = {}
        self._block_bytes = BLOCK_BYTES
        self.path: list[Judged] = []
        # When a block came that was missing, or the branch became another.
        self.moved_ms = 0

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def is_ready(self) -> bool:
        """Whether the next block is here."""
        return bool(self.path) and self.path[0].header.id in self._blocks

    def follow(self, path: list[Judged]) -> None:
        """Fetch the blocks of these headers, oldest first, the first of which stands on the tree."""
        self.path = path
        if self._blocks:
            wanted = {judged.header.id for judged in path}
            self._blocks = {key: block for key, block in self._blocks.items() if key in wanted}

    def ready(self, chain: Blockchain) -> Iterator[tuple[Block, Judged]]:
        """Blocks that can enter the tree, each with the verdict on its header, in their order."""
        for judged in self.path:
            header = judged.header
            block = self._blocks.pop(header.id, None)
            if header.id in chain.tree:
                continue
            if block is None or header.parent not in chain.tree or chain.tree[header.parent].invalid:
                return
            yield block, judged

    # ------------------------------------------------------------------------------------------------- what comes

    def take(self, asked: Asked, blocks: Sequence[Block], now_ms: int) -> Refused | None:
        """Keep those blocks of a reply that were asked for; why the next one was not, if there is one."""
        pairs = zip(blocks, asked.ids, strict=False)
        good = [block for block, _ in takewhile(lambda pair: pair[0].id == pair[1], pairs)]
        wanted = {judged.header.id for judged in self.path}
        for block in good:
            if block.id in wanted:
                self._blocks[block.id] = block
                self.moved_ms = now_ms
        self._weigh(asked, good, now_ms)
        if len(good) == len(blocks):
            return None
        self._suppliers.failed(asked.supplier, now_ms)
        return Refused(Reason.UNSOLICITED, f"block {blocks[len(good)].id.hex()[:12]} is not the one asked for")

    def _weigh(self, asked: Asked, blocks: Sequence[Block], now_ms: int) -> None:
        count, size = len(blocks), sum(map(block_bytes, blocks))
        if count:
            self._suppliers.arrived(asked, size, now_ms)
            self._block_bytes = max(1, (3 * self._block_bytes + size // count) // 4)
        is_full = self._suppliers.is_full(asked, count, size, is_whole=count == len(asked.ids))
        if is_full or (count and not self._suppliers.is_late(asked, now_ms)):  # the next one may be large
            self._suppliers.delivered(asked.supplier, size, now_ms - asked.since_ms)
        elif not count and not asked.is_claimed:
            asked.supplier.ceiling = asked.request.from_height  # others showed these headers, this one did not
        else:
            asked.supplier.trail = b""
            self._suppliers.failed(asked.supplier, now_ms)

    # ------------------------------------------------------------------------------------------------ whom to ask

    def requests(self, chain: Blockchain, now_ms: int) -> Iterator[Asked]:
        """Share what is missing among those that can bring it, the next blocks to the best."""
        if not self.path:
            return
        news = self._wanted(now_ms)
        wanted = news or self._unheard(now_ms)
        able = self._suppliers.in_order(each for each in self._suppliers if self._can_bring(each, chain, now_ms))
        room = PROBES - sum(not asked.supplier.has_delivered for asked in self._prompt(now_ms))
        for turn in range(RANGES_AT_ONCE):
            for supplier in able:
                if not wanted or not self._suppliers.has_room(now_ms, beside_silent=bool(news)):
                    return
                if len(self._ranges_of(supplier)) > turn:
                    continue
                if not supplier.has_delivered:
                    if turn or room <= 0:
                        continue
                    room -= 1
                asked = self._range_for(supplier, wanted, chain, now_ms)
                if asked is not None:
                    self._suppliers.ask(asked)
                    yield asked

    def _wanted(self, now_ms: int) -> list[Header]:
        """The next headers whose blocks are neither here nor on their way in good time."""
        known = {block_id for asked in self._prompt(now_ms) for block_id in asked.ids} | self._blocks.keys()
        window = self.path[: max(1, WINDOW_BYTES // self._block_bytes)]
        return [judged.header for judged in window if judged.header.id not in known]

    def _unheard(self, now_ms: int) -> list[Header]:
        """Where nothing else is wanted: the blocks of which nothing came yet, to ask another for the same."""
        asked = self._prompt(now_ms)
        askers = Counter(block_id for each in asked for block_id in each.ids)
        silent = {block_id for each in asked if self._suppliers.is_silent(each, now_ms) for block_id in each.ids}
        headers = (judged.header for judged in self.path)
        return [header for header in headers if header.id in silent and askers[header.id] == 1]

    def _prompt(self, now_ms: int) -> list[Asked]:
        return [each for each in self._suppliers.asked if each.ids and not self._suppliers.is_late(each, now_ms)]

    def _ranges_of(self, supplier: Supplier) -> list[Asked]:
        return [each for each in self._suppliers.asked if each.ids and each.supplier is supplier]

    def _can_bring(self, supplier: Supplier, chain: Blockchain, now_ms: int) -> bool:
        """Whether a peer follows this branch, as far as is known, and brings what it was asked for."""
        tips = supplier.trail, supplier.status.head_id
        follows = supplier.trail in chain.tree or any(judged.header.id in tips for judged in self.path)
        return (
            follows
            and not self._suppliers.rests(supplier, now_ms)
            and not any(self._is_stuck(asked, now_ms) for asked in self._ranges_of(supplier))
        )

    def _is_stuck(self, asked: Asked, now_ms: int) -> bool:
        return self._suppliers.is_late(asked, now_ms) or self._suppliers.is_silent(asked, now_ms)

    def _range_for(self, supplier: Supplier, wanted: list[Header], chain: Blockchain, now_ms: int) -> Asked | None:
        """A request for the next blocks in a row that this peer has; they are wanted no more."""
        count = max(1, min(supplier.pace.ask_bytes // self._block_bytes, MAX_BLOCKS_PER_REQUEST))
        shown = next((judged.header.height for judged in self.path if judged.header.id == supplier.trail), 0)
        top = min(max(supplier.status.height, shown), supplier.ceiling - 1)
        floor = self._suppliers.floor(supplier, now_ms)
        skipped = sum(header.height < floor for header in wanted)
        able = wanted[skipped : skipped + count]
        run = [header for at, header in enumerate(able) if header.height == able[0].height + at <= top]
        if not run:
            return None
        first = run[0].height
        del wanted[skipped : skipped + len(run)]
        ids = tuple(header.id for header in run)
        request = GetBlocks(ids[-1], first, len(ids), supplier.pace.ask_bytes)
        expected = max(self._block_bytes, min(request.max_bytes, len(ids) * self._block_bytes))  # one is given whole
        is_claimed = first <= shown or (supplier.status.head_id in ids and not supplier.is_hearsay)
        final_height, mhp = chain.finalized.height, supplier.status.mhp
        return Asked(supplier, request, ids, now_ms, final_height, mhp, expected, is_claimed)


def block_bytes(block: Block) -> int:
    """About what a block takes on the line."""
    bodies = sum(len(transaction.raw) for transaction in block.transactions)
    return len(block.header.raw) + len(block.ballot.raw) + bodies
