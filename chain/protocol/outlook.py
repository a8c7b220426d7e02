"""What a running node sees beside what is on its disk, as documents: the tree, what it heard, the mempool."""

from __future__ import annotations

from heapq import nlargest
from itertools import islice

from chain.base.keys import did_from_key
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import TreeNode
from chain.branches.stall import Stall
from chain.consensus.attestations import Attestation
from chain.consensus.headers import Header
from chain.consensus.statements import SignedStatement
from chain.documents.chronicle import envelope_document
from chain.documents.people import Document
from chain.documents.words import time_of
from chain.protocol.heard import Heard
from chain.protocol.mempool import MAX_BYTES, MAX_TRANSACTIONS, Mempool


def at_head(chain: Blockchain) -> Document:
    """As of which height an answer about blocks is, and whether that is final."""
    height, final = chain.head.header.height, chain.finalized.height
    return {"as_of_height": height, "final": height <= final, "finalized_height": final}


def tree_document(chain: Blockchain, limit: int) -> Document:
    """Every known block from the final one up, by height and id; of very many the highest."""
    down, _ = chain.tree.path(chain.head.header.id, chain.tree.root)
    main = {*down, chain.tree.root}
    nodes = nlargest(limit, chain.tree.nodes(), key=lambda node: (node.header.height, node.header.id))
    return {
        **at_head(chain),
        "finalized_id": chain.finalized.id.hex(),
        "head_id": chain.head.header.id.hex(),
        "count": len(chain.tree),
        "more": len(nodes) < len(chain.tree),
        "blocks": [_node_document(chain, node, node.header.id in main) for node in reversed(nodes)],
    }


def _node_document(chain: Blockchain, node: TreeNode, is_main: bool) -> Document:
    header, block = node.header, node.block
    beside = "invalid" if node.invalid else "side"
    return {
        "id": header.id.hex(),
        "height": header.height,
        "slot": header.slot,
        "time": time_of(chain.genesis, header.slot),
        "leader": did_from_key(header.proposer) if header.height else None,
        "parent": header.parent.hex(),
        "mhg": header.mhg,
        "mhp": header.mhp,
        "transaction_count": None if block is None else len(block.transactions),
        "attestation_count": None if block is None else len(block.ballot.attestations),
        "status": "root" if header.id == chain.tree.root else "main" if is_main else beside,
        "head": node is chain.head,
        "final": header.id == chain.finalized.id,
        "in_slot": node.arrived_in_slot,
        "header": header.raw.hex(),
    }


def attestations_document(chain: Blockchain, heard: Heard, limit: int) -> Document:
    """The highest attestations that were heard and no block of the head's branch carries, as they were signed."""
    votes = chain.head.votes

    def is_carried(height: int, speaker: bytes) -> bool:
        row = votes.row(height)
        return row is not None and speaker in row.said

    waiting = (each for each in heard if not is_carried(each.height, each.speaker))
    found = nlargest(limit, waiting, key=lambda each: (each.height, each.id))
    return {
        **at_head(chain),
        "attestations": [
            {
                "id": each.id.hex(),
                "speaker": did_from_key(each.speaker),
                "height": each.height,
                "tip": each.tip.hex(),
                "mhg": each.mhg,
                "mhp": each.mhp,
                "raw": each.raw.hex(),
            }
            for each in found
        ],
    }


def mempool_document(chain: Blockchain, mempool: Mempool, limit: int) -> Document:
    """How much waits, and the first ``limit`` of it."""
    stands = at_head(chain)
    return {
        "as_of_height": stands["as_of_height"],
        "final": stands["final"],
        **mempool_counts(mempool),
        "max_transactions": MAX_TRANSACTIONS,
        "max_bytes": MAX_BYTES,
        "transactions": [{**envelope_document(each), "bytes": len(each.raw)} for each in islice(mempool, limit)],
    }


def mempool_counts(mempool: Mempool) -> Document:
    """How much waits."""
    return {"waiting": len(mempool), "ready": mempool.ready, "early": mempool.early, "bytes": mempool.bytes}


def stall_document(stall: Stall | None) -> Document | None:
    """Since when nothing new becomes final, and for want of whom; None where it does."""
    if stall is None:
        return None
    missing = [did_from_key(key) for key in stall.missing]
    return {"since_slot": stall.slot, "heard": stall.heard, "needed": stall.needed, "missing": missing}


def statement_document(statement: SignedStatement) -> Document:
    """A statement as it was signed."""
    kind = "attestation" if statement.slot is None else "header"
    raw = statement.raw if isinstance(statement, Header | Attestation) else b""
    return {"id": statement.id.hex(), "kind": kind, "raw": raw.hex()}


def equivocation_document(first: SignedStatement, second: SignedStatement, at_ms: int) -> Document:
    """Two statements that one validator must not both have signed, noticed at ``at_ms`` (Unix milliseconds)."""
    return {
        "at_ms": at_ms,
        "validator": did_from_key(first.speaker),
        "height": first.height,
        "first": statement_document(first),
        "second": statement_document(second),
    }
