"""The shapes of documents, from which the description of the HTTP API follows (:mod:`p2p.local.openapi`).

Every class is an object of JSON: its docstring says what it is, and what is :class:`NotRequired` is there where it
applies.  Ids, digests and raw bytes are hexadecimal, keys are dids, times are those at which slots begin (ISO 8601,
UTC).
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AsOf(TypedDict):
    """As of which height an answer is, and whether that is final."""

    as_of_height: int
    final: bool


class AtHead(AsOf):
    """The same for what is told of blocks, and up to which height the chain is final."""

    finalized_height: int


# ------------------------------------------------------------------------------------------------- the register


class Member(TypedDict):
    """Where a member stands."""

    member: str
    first_key: NotRequired[str]
    score: int
    tier: str
    tier_without_cap: NotRequired[str]
    record_points: int
    records: int
    suspended: int
    rated_points: int
    ratings: int
    enrolled_height: int
    consented_policy: int


class Rating(TypedDict):
    """A rating that stands."""

    rater: NotRequired[str]
    subject: NotRequired[str]
    category: str
    points: int
    height: int
    status: str
    expires_slot: int | None
    expires_time: str | None
    deadline_slot: int | None
    deadline_time: str | None
    grounds: str | None
    reason: str | None


class Record(TypedDict):
    """A record that stands or is suspended."""

    member: str
    number: int
    issuer: str
    category: str
    code: int
    points: int
    status: str
    counts: bool
    disputed: bool
    upheld: bool
    appealed: bool
    reopened: bool
    severity: str | None
    tier_cap: str | None
    policy: int
    height: int
    established_slot: int
    established_time: str | None
    expires_slot: int | None
    expires_time: str | None
    repair_slot: int | None
    repair_time: str | None
    appeal_slot: int | None
    appeal_time: str | None
    deadline_slot: int | None
    deadline_time: str | None
    waits_for: str | None
    left: str | None
    arbiters: list[str]
    evidence: str
    reason: str | None
    grounds: str | None
    statement: str | None
    proof: str | None


class Line(TypedDict):
    """Some points of a score, and where they come from: of a record also what its own document says."""

    kind: str
    points: int
    category: NotRequired[str]
    rater: NotRequired[str]
    height: NotRequired[int]
    block: NotRequired[str | None]
    policy: NotRequired[int]
    points_recorded: NotRequired[int]
    number: NotRequired[int]
    issuer: NotRequired[str]
    code: NotRequired[int]
    status: NotRequired[str]
    counts: NotRequired[bool]
    disputed: NotRequired[bool]
    upheld: NotRequired[bool]
    appealed: NotRequired[bool]
    reopened: NotRequired[bool]
    severity: NotRequired[str | None]
    tier_cap: NotRequired[str | None]
    established_slot: NotRequired[int]
    established_time: NotRequired[str | None]
    expires_slot: NotRequired[int | None]
    expires_time: NotRequired[str | None]
    repair_slot: NotRequired[int | None]
    repair_time: NotRequired[str | None]
    appeal_slot: NotRequired[int | None]
    appeal_time: NotRequired[str | None]
    deadline_slot: NotRequired[int | None]
    deadline_time: NotRequired[str | None]
    waits_for: NotRequired[str | None]
    left: NotRequired[str | None]
    arbiters: NotRequired[list[str]]
    evidence: NotRequired[str]
    reason: NotRequired[str | None]
    grounds: NotRequired[str | None]
    statement: NotRequired[str | None]
    proof: NotRequired[str | None]


class MemberStanding(Member, AsOf):
    """A member, and its place among all."""

    rank: int
    of: int
    percentile: int


class OneMember(MemberStanding):
    """A member with the records about it and the ratings of it; ``given`` where they were asked for."""

    records_about: list[Record]
    received: list[Rating]
    given: NotRequired[list[Rating]]


class Cap(TypedDict):
    """A record without which the tier would be higher, and what ends its cap, in words."""

    record: int
    category: str
    tier_at_most: str
    lifted_by: str


class Explanation(MemberStanding):
    """Every point of a member's score."""

    lines: list[Line]
    sum: int
    capped_by: NotRequired[list[Cap]]
    given: NotRequired[list[Rating]]


class Members(AsOf):
    """Members by their first keys; ``next`` is what to ask ``after`` for more."""

    members: list[Member]
    next: str | None


class RankedMember(Member):
    """A member with its rank."""

    rank: int


class Top(AsOf):
    """The members with the highest scores."""

    members_in_all: int
    members: list[RankedMember]


class Listed(TypedDict):
    """A line of a list."""

    rank: int
    member: str
    score: int
    tier: str
    records: int
    suspended: int


class Lists(AsOf):
    """Who stands in which tier, the highest first."""

    tier: str | None
    count: int
    members: list[Listed]


class TierCount(TypedDict):
    """How many members stand in a tier."""

    tier: str
    from_score: int
    members: int


class Tiers(AsOf):
    """How many members stand in which tier."""

    members: int
    tiers: list[TierCount]


class Records(AsOf):
    """Records, and whether there are more; ``next`` is what to ask ``after`` for them."""

    more: bool
    records: list[Record]
    next: NotRequired[str | None]


class Objections(AsOf):
    """Records that wait for somebody, the nearest deadline first."""

    objections: list[Record]


class Event(TypedDict):
    """Something that happened to a member, and its score right after; ``by`` is None where the chain itself acted."""

    height: int
    slot: int
    time: str | None
    block: str
    transaction: str | None
    what: str
    number: int | None
    category: str | None
    points: int | None
    by: str | None
    score: int | None
    tier: str | None
    final: bool


class History(AtHead):
    """What happened to a member, or to one record about it."""

    member: str
    record: int | None
    events: list[Event]


# ------------------------------------------------------------------------------------------------- institutions


class Ruled(TypedDict):
    """How an arbiter ruled on what one issuer filed."""

    issuer: str
    upheld: int
    struck: int
    silent: int


class Authority(TypedDict):
    """An institution: what it may do, and how its records held."""

    authority: str
    first_key: NotRequired[str]
    status: str
    in_term: bool
    rights: list[str]
    categories: list[str]
    from_slot: int
    until_slot: int
    term: str
    filed: int
    withdrawn: int
    decided: int
    overturned: int
    forgiven_decided: int
    forgiven_overturned: int
    decided_in_window: int
    overturned_in_window: int
    overturned_permille: int
    rulings: list[Ruled]


class Authorities(AsOf):
    """The accredited institutions, and how much of an institution's records may be overturned."""

    limit_permille: int
    limit_minimum: int
    authorities: list[Authority]


class Arbiter(TypedDict):
    """Somebody who may be drawn to rule, and how it ruled so far; ``struck_permille`` is of its rulings."""

    arbiter: str
    since_height: int
    in_office: bool
    upheld: int
    struck: int
    silent: int
    struck_permille: int
    rulings: list[Ruled]


class Arbiters(AsOf):
    """Among whom a lot is drawn."""

    arbiters: list[Arbiter]


class Motion(TypedDict):
    """A motion: what it proposes and about whom, who approves it, and how much weight it still needs."""

    number: int
    status: str
    kind: str
    proposes: str
    about: list[str]
    proposer: str
    height: int
    approvals: list[str]
    closed_height: int | None
    weight: NotRequired[int]
    weight_needed: NotRequired[int]
    awaits_consent: NotRequired[bool]
    expires_slot: NotRequired[int | None]
    expires_time: NotRequired[str | None]
    left: NotRequired[str]
    policy: NotRequired[dict[str, Any]]
    worsens: NotRequired[list[str]]


class Motions(AsOf):
    """The newest motions, the newest first."""

    open: int
    motions: list[Motion]


class Announced(TypedDict):
    """The policy that comes into force next."""

    version: int
    slot: int
    time: str | None
    left: str
    policy: dict[str, Any]


class Policy(AsOf):
    """The policy in force, in the shape of its file, and the announced one."""

    version: int
    digest: str
    policy: dict[str, Any]
    announced: Announced | None


# ------------------------------------------------------------------------------------------------- the chain


class Block(TypedDict):
    """A header and the number of its block's transactions; ``main`` says whether it is on the main chain."""

    id: str
    height: int
    slot: int
    time: str | None
    proposer: str | None
    parent: str
    tag: str | None
    mhg: int
    mhp: int
    votes_root: str
    transaction_root: str
    state_root: str
    transaction_count: int
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


class OneTransaction(TypedDict):
    """Where a transaction is; in a block, its place and the audit path up to the header's root (RFC 6962)."""

    state: Literal["waiting", "included", "final", "unknown"]
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


# ------------------------------------------------------------------------------------------------- a node


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
    transactions: int
    final_transactions: int
    signatures_checked: int
    cpu_s: float
    rss_bytes: int
    mode: str
    oldest_body: int
    damaged_blocks: int


class Health(TypedDict):
    """Whether a node does what it is for; ``why`` says what is wrong."""

    status: Literal["ok", "syncing", "stalled", "silent", "alone"]
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


class HeadMove(TypedDict):
    """That a block became the head at ``at_ms`` (Unix milliseconds), ``depth`` others left behind."""

    seq: int
    id: str
    height: int
    slot: int
    time: str | None
    proposer: str | None
    parent: str
    mhg: int
    mhp: int
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


#: What has fields beside those of its shape.
OPEN: frozenset[type] = frozenset({Transaction})
