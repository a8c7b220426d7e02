"""The shapes of documents about a running node, as :mod:`chain.documents.shapes` has it."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from chain.documents.chainshapes import Heading
from chain.documents.shapes import AsOf, AtHead


class Stall(TypedDict):
    """Since when nothing new becomes final, and for want of whom."""

    since_slot: int
    heard: int
    needed: int
    missing: list[str]


class Status(TypedDict):
    """Where a node stands.  ``cpu_s`` is the CPU time of its process so far; ``now_ms`` is Unix time as it has it.

    ``silent`` says that this validator makes no blocks at present, ``silent_why`` why, and ``signs_again`` when it will
    (UTC, ISO 8601), None where nobody knows.  ``mode`` is what it keeps of what blocks say: of those from
    ``oldest_body`` on everything, but for ``damaged_blocks`` that its disk spoilt and that are asked of peers again.
    ``transactions`` and ``final_transactions`` are those of the blocks from ``transactions_from`` on: how many there
    were before it joined by state, a node learns from their bodies alone.
    ``faults`` counts what was put aside since its start for a fault of this version; the log tells which.
    """

    version: str
    protocol: str
    network: str
    chain_id: str
    did: str
    peer_id: str
    validator: bool
    silent: bool
    silent_why: str | None
    signs_again: str | None
    height: int
    head_id: str
    head_slot: int
    state_root: str
    finalized_height: int
    finalized_id: str
    stalled: Stall | None
    slot: int
    slot_ms: int
    genesis_time_ms: int
    now_ms: int
    mempool: int
    peers: int
    syncing: bool
    reorgs: int
    faults: int
    transactions: int
    final_transactions: int
    transactions_from: int
    signatures_checked: int
    cpu_s: float
    rss_bytes: int
    mode: str
    oldest_body: int
    damaged_blocks: int


class Health(TypedDict):
    """Whether a node does what it is for; ``why`` says what is wrong.

    ``silent`` is a validator that signs nothing, ``alone`` a node without peers; ``stalled``: nothing becomes final, or
    no block came for longer than a chain is idle; ``behind``: a longer chain was proven by its headers, or most peers
    that are known (machines of validators, and those that the operator named) say that blocks above the head are final;
    ``syncing``: the same, and something of that is on its way.  What others claim counts for nothing.
    """

    status: Literal["ok", "syncing", "behind", "stalled", "silent", "alone"]
    why: str | None
    height: int
    finalized_height: int
    slot: int


class Peer(TypedDict):
    """A connected peer, whose machine it is, and where it says that it stands."""

    peer_id: str
    address: str
    direction: str
    rtt_ms: float | None
    score: float
    validator: str | None
    height: int | None
    finalized_height: int | None


class Peers(TypedDict):
    """Who is connected, and for how many seconds more others are kept out."""

    peers: list[Peer]
    banned: dict[str, float]


class Account(TypedDict):
    """What a signer has to know, as of the head and this node's mempool."""

    nonce: int
    next_free: int
    identity: str | None
    successor: str | None
    member: bool
    authority: bool
    validator: bool
    slot: int
    height: int
    policy_version: int


class Waiting(TypedDict):
    """A transaction that waits for a block."""

    id: str
    kind: str
    actor: str
    nonce: int
    expiry_height: int
    bytes: int


class Mempool(AsOf):
    """What waits, in the order in which it came; ``early`` waits for a nonce before it."""

    waiting: int
    ready: int
    early: int
    bytes: int
    max_transactions: int
    max_bytes: int
    transactions: list[Waiting]


class Said(TypedDict):
    """A statement as it was signed."""

    id: str
    kind: Literal["header", "attestation"]
    raw: str


class Equivocation(TypedDict):
    """Two statements that one validator must not both have signed, as they were noticed here."""

    at_ms: int
    validator: str
    height: int
    first: Said
    second: Said


class Evidence(AtHead):
    """Who contradicted itself since this node started, and who makes no blocks for it."""

    seen: list[Equivocation]
    barred: list[str]


class HeadMove(Heading):
    """That a block became the head at ``at_ms`` (Unix milliseconds), ``depth`` others left behind."""

    seq: int
    transactions: int
    at_ms: int
    delay_ms: int
    depth: int
    made_here: bool


class Heads(TypedDict):
    """The last head moves, oldest first."""

    heads: list[HeadMove]


class Names(TypedDict):
    """What this machine calls the owners of keys, by did."""

    names: dict[str, str]


class Refusal(TypedDict):
    """Why something was refused: the rule that was broken, what would be needed, and what time the slots in it are.

    ``disposition`` says whether it may be accepted later, is useless, or could never have been right.
    """

    reason: str
    detail: str
    disposition: Literal["later", "ignore", "blame"]
    rule: str
    needed: str
    when: dict[str, str]


class Outcomes(TypedDict):
    """One outcome for each transaction, in their order; None where it was taken."""

    outcomes: list[Refusal | None]


class Partition(TypedDict):
    """Whom to cut off."""

    peer_ids: list[str]


class Nothing(TypedDict):
    """Done."""


class Problem(TypedDict):
    """What went wrong (RFC 9457); where a rule of the chain was broken, also what :class:`Refusal` says."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    reason: NotRequired[str]
    disposition: NotRequired[str]
    rule: NotRequired[str]
    needed: NotRequired[str]
    when: NotRequired[dict[str, str]]
