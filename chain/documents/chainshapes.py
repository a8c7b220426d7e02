"""The shapes of documents about blocks, votes, validators and transactions, as :mod:`chain.documents.shapes` has it."""

from __future__ import annotations

from typing import Literal, TypedDict

from chain.documents.shapes import AtHead


class Heading(TypedDict):
    """Which block it is, who made it when, and what its maker had seen of the votes."""

    id: str
    height: int
    slot: int
    time: str | None
    proposer: str | None
    parent: str
    mhg: int
    mhp: int


class Block(Heading):
    """A header and the number of its block's transactions, None where only the header ever was here.

    ``main`` says whether it is on the main chain.
    """

    tag: str | None
    votes_root: str
    transaction_root: str
    state_root: str
    transaction_count: int | None
    main: bool
    final: bool


class Head(Block):
    """The newest block, and how far the chain and the state on disk are final."""

    network: str
    genesis: str
    state_height: int
    as_of_height: int
    finalized_height: int


class Blocks(AtHead):
    """Blocks of the main chain, oldest first."""

    blocks: list[Block]


class Spoken(TypedDict):
    """An attestation that a block carries."""

    height: int
    speaker: str
    mhg: int


class Weighed(TypedDict):
    """A validator and its weight."""

    validator: str
    weight: int


class Tagged(TypedDict):
    """A validator and the name of its signing state."""

    validator: str
    tag: str


class Decision(TypedDict):
    """What a block decides about who votes."""

    following: list[Weighed]
    barred: list[str] | None
    tags: list[Tagged]


class Restarted(TypedDict):
    """That people let the chain go on from a block."""

    tip: str
    height: int
    signers: list[str]


class Ballot(TypedDict):
    """What a block carries for the votes."""

    restart: Restarted | None
    attestations: list[Spoken]
    decision: Decision


class Transaction(TypedDict):
    """A transaction as it was signed, with the fields of its kind beside these."""

    id: str
    kind: str
    actor: str
    nonce: int
    expiry_height: int


class OneBlock(Block):
    """A block with what it carries."""

    as_of_height: int
    finalized_height: int
    ballot: Ballot
    transactions: list[Transaction]


class RawHeader(TypedDict):
    """A header and its ballot as they were signed; the id is the SHA-256 of the header."""

    id: str
    height: int
    header: str
    ballot: str


class RawHeaders(AtHead):
    """Headers of the main chain, oldest first: all that it takes to count votes."""

    headers: list[RawHeader]


class Branch(TypedDict):
    """A stored branch that is not the main chain, newest block first; ``can_win`` says whether it still may."""

    tip: str
    height: int
    length: int
    leaves_at_height: int
    leaves_at: str
    can_win: bool
    blocks: list[Block]


class Forks(AtHead):
    """Stored blocks beside the main chain."""

    side_blocks: int
    branches: list[Branch]


class TreeBlock(TypedDict):
    """A block that this node knows, from the final one up; ``in_slot`` says whether it came in time."""

    id: str
    height: int
    slot: int
    time: str | None
    leader: str | None
    parent: str
    mhg: int
    mhp: int
    transaction_count: int | None
    attestation_count: int | None
    status: Literal["root", "main", "side", "invalid"]
    head: bool
    final: bool
    in_slot: bool
    header: str


class Tree(AtHead):
    """Every known block from the final one up, by height and id; ``more`` where the lowest are left out."""

    finalized_id: str
    head_id: str
    count: int
    more: bool
    blocks: list[TreeBlock]


class VotingSet(TypedDict):
    """A set of validators that decides: its weight, and how much of it is needed."""

    threshold: int
    weight: int
    validators: list[Weighed]


class Speaker(TypedDict):
    """Who spoke at a height, and the largest height that it had spoken at before."""

    validator: str
    mhg: int


class VotedBlock(TypedDict):
    """A block of the window and the votes for it; the lists run parallel to the sets that decide at its height."""

    height: int
    id: str
    mhp: int
    thresholds: list[int]
    prevotes: list[int]
    precommits: list[int]
    prevoted: bool
    precommitted: bool
    final: bool
    speakers: list[Speaker]


class Finality(AtHead):
    """How the newest blocks become final, the newest first; ``sets`` decide at the next height."""

    finalized_id: str
    head_id: str
    prevoted_height: int
    sets: list[VotingSet]
    rows: list[VotedBlock]


class Validator(TypedDict):
    """Who makes blocks; ``share_permille`` is of the blocks of the main chain."""

    validator: str
    weight: int
    status: str
    blocks: int
    share_permille: int
    last_height: int | None
    last_slot: int | None
    votes: bool
    tag: str | None


class NextValidator(TypedDict):
    """What a validator weighs now and in the next set, and whether it spoke since that is waited for."""

    validator: str
    weight: int
    next_weight: int
    spoke: bool | None


class Phase(TypedDict):
    """How far a change of the validators is."""

    name: str
    since: int
    lapses_at: int | None
    following: list[NextValidator]
    leaves: list[str]


class Validators(AtHead):
    """Who makes blocks, whose votes count lately, and how far a change of them has come."""

    state_height: int
    validators: list[Validator]
    under_way: list[str]
    decided_height: int | None
    phase: Phase | None
    waiting: list[str]
    barred: list[str]


class OneTransaction(AtHead):
    """Where a transaction is; in a block, its place and the audit path up to the header's root (RFC 6962)."""

    state: Literal["waiting", "included", "final", "left behind", "unknown"]
    height: int | None
    block: str | None
    index: int | None
    count: int | None
    path: list[str] | None
    header: str | None
    raw: str | None
    transaction: Transaction | None


class RawAttestation(TypedDict):
    """An attestation as it was signed."""

    id: str
    speaker: str
    height: int
    tip: str
    mhg: int
    mhp: int
    raw: str


class Attestations(AtHead):
    """What was heard and no block of the head's branch carries yet."""

    attestations: list[RawAttestation]


#: What has fields beside those of its shape.
OPEN: frozenset[type] = frozenset({Transaction})
