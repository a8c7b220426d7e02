"""Every bound of the engine on what it keeps and what it sends.

Not here: bounds on what is read (sizes of messages, fields, proofs), which decoders enforce before there is an event,
and those of the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from chain.branches import blocktree
from chain.content import blocks
from chain.protocol import (
    admission,
    arrivals,
    download,
    headway,
    heard,
    mempool,
    messages,
    queues,
    suppliers,
    sync,
    witness,
)
from chain.protocol.engine import MAX_REGOSSIP, Engine
from chain.protocol.events import AnnounceBlock, Ask, Effect, GossipTransactions
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions
from scripts.simulation.node import SimulatedNode

# What it is, how much of it there is, and how much there may be.
Measure = tuple[str, int, int]


def kept(node: SimulatedNode) -> Iterator[Measure]:
    """What a node keeps between events."""
    engine = node.engine
    limit = admission.MAX_COUNTED + admission.MAX_ATTESTED
    yield "slots and heights counted at the door", len(node.door.admission), limit
    yield "statements remembered", len(engine.witness), witness.MAX_SIGNERS * witness.MAX_STATEMENTS
    yield "waiting blocks", len(engine.waiting), arrivals.MAX_WAITING
    slots = [arrival.header.slot for arrival in engine.waiting._arrivals.values()]
    yield "waiting blocks of one slot", max(map(slots.count, slots), default=0), blocktree.MAX_BLOCKS_PER_SLOT
    yield "blocks in the tree", len(engine.chain.tree), blocktree.MAX_BLOCKS
    yield "final blocks that the state on disk is behind", engine.chain.unsettled, headway.MAX_UNSETTLED
    yield from _pooled(engine)
    yield from _fetching(engine)
    votes = engine.chain.head.votes
    yield "blocks in the window of votes", len(votes.rows), 3 * votes.batch
    yield "attestations heard", len(engine.heard), heard.MAX_PER_SPEAKER * heard.MAX_SPEAKERS


def _fetching(engine: Engine) -> Iterator[Measure]:
    conversation = engine.sync
    yield "claims of peers", len(conversation.suppliers._by_peer), suppliers.MAX_STATUSES
    yield "resting peers", len(conversation.suppliers._resting), suppliers.MAX_STATUSES
    limit = suppliers.MAX_STATUSES * (download.RANGES_AT_ONCE + 1)
    yield "requests under way", len(conversation.suppliers.asked), limit
    # What was just shown comes on top: the next look forgets it again.
    yield "headers without blocks", len(conversation.skeleton), sync.MAX_SKELETON + sync.HEADINGS_AT_ONCE
    yield "blocks that wait for an earlier one", len(conversation.download), sync.MAX_PATH + sync.HEADINGS_AT_ONCE


def _pooled(engine: Engine) -> Iterator[Measure]:
    pool = engine.mempool
    # Twice, because what a reorg abandons comes back into a full pool, and before a full queue, too.
    yield "transactions in the pool", len(pool), 2 * mempool.MAX_TRANSACTIONS
    yield "bytes in the pool", pool.bytes, 2 * mempool.MAX_BYTES
    most = max(Counter(transaction.actor for transaction in pool).values(), default=0)
    yield "transactions of one actor", most, 2 * queues.MAX_PER_ACTOR
    yield "transactions of strangers", pool.strangers, mempool.MAX_FROM_STRANGERS
    # Old ones are looked for at some heights only, and a reorg may jump over one.
    age = engine.chain.head.header.height + 1 - min(pool._taken_at.values(), default=2**63)
    yield "age in blocks of a pooled transaction", age, mempool.MAX_AGE_BLOCKS + 4 * headway.EXPIRE_EVERY_BLOCKS
    yield "claimed transactions", len(pool._claimed), len(pool)


def sent(effects: Iterable[Effect], submitted: int, top_height: int) -> Iterator[Measure]:
    """What leaves the machine, where a client just submitted so many transactions.

    No chain can be longer than ``top_height``.
    """
    for effect in effects:
        match effect:
            case AnnounceBlock(block):
                bodies = sum(len(item.raw) for item in block.transactions)
                yield "transactions in a block", len(block.transactions), blocks.MAX_BLOCK_TRANSACTIONS
                yield "bytes of a body", bodies, blocks.MAX_BODY_BYTES
                yield "bytes of a block", len(blocks.encode_block(block)), blocks.MAX_BLOCK_BYTES
            case Ask(_, (GetHeadings() | GetBlocks()) as request):
                yield "blocks in a request", request.count, messages.MAX_BLOCKS_PER_REQUEST
                yield "the height asked for", request.from_height + request.count - 1, top_height
            case Ask(_, GetTransactions() as request):
                yield "transactions in a request", len(request.transaction_ids), blocks.MAX_BLOCK_TRANSACTIONS
            case GossipTransactions(transactions):
                yield "transactions offered", len(transactions), max(MAX_REGOSSIP, submitted)
            case _:
                pass
