"""The shapes (:mod:`chain.documents.shapes`) of documents about members, records, institutions and policies."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from chain.documents.shapes import AsOf, AtHead


class AsRanked(AsOf):
    """The same where members are ranked; while a new policy is being applied to them, up to whose first key it was."""

    rescored_to: NotRequired[str]


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
    worth: int
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
    halves_slot: int | None
    halves_time: str | None
    fading: str | None
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
    worth: NotRequired[int]
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
    halves_slot: NotRequired[int | None]
    halves_time: NotRequired[str | None]
    fading: NotRequired[str | None]
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


class Attribute(TypedDict):
    """What an authority attests of a member until a date, on a document of which this is the salted digest."""

    attribute: str
    code: int
    issuer: str
    digest: str
    height: int
    expires_slot: int | None
    expires_time: str | None
    left: str


class Annulment(TypedDict):
    """An enrolment that a registrar calls void."""

    member: str
    registrar: str
    status: str
    appealed: bool
    deadline_slot: int | None
    deadline_time: str | None
    waits_for: str
    left: str
    arbiters: list[str]
    reason: str
    grounds: str | None


class MemberStanding(Member, AsRanked):
    """A member, its place among all, and what is attested of it."""

    rank: int
    of: int
    percentile: int
    attributes: list[Attribute]
    annulment: NotRequired[Annulment]


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
    """Every point of a member's score; ``ratings_left_out`` are so many ratings that have one line for all of them."""

    lines: list[Line]
    ratings_left_out: int
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


class Top(AsRanked):
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


class Lists(AsRanked):
    """Who stands in which tier, the highest first."""

    tier: str | None
    count: int
    members: list[Listed]


class TierCount(TypedDict):
    """How many members stand in a tier."""

    tier: str
    from_score: int
    members: int


class Tiers(AsRanked):
    """How many members stand in which tier."""

    members: int
    tiers: list[TierCount]


class Records(AsOf):
    """Records, and whether there may be more; ``next`` is what to ask ``after`` for them."""

    more: bool
    records: list[Record]
    next: NotRequired[str | None]


class Objections(AsOf):
    """Records that wait for somebody, the nearest deadline first; and enrolments that are called void."""

    objections: list[Record]
    annulments: list[Annulment]


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
    """What happened to a member, or to one record about it; what was before ``since_height`` is not kept here."""

    member: str
    record: int | None
    since_height: int
    events: list[Event]


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
    """A motion: what it proposes and about whom, who approves it, how much weight and whose consent it still needs."""

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
    awaits_consent: NotRequired[str | None]
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
