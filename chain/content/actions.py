"""What an actor does by a transaction: one type a kind, and the codes of verdicts and steps.

Who may do what, and what follows, is the registry's.
Source: protocol 6.1.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from chain.content.proposals import Proposal

POINTS_LIMIT = 1_000_000
SALT_BYTES = 16
# Conduct may be older than the chain: slots before the genesis are negative.
SLOT_LIMIT = 2**48


class Enrol(NamedTuple):
    """The actor joins the register, and consents to the policy of ``policy_version``, which is in force.

    Nothing can be recorded about a key that has not enrolled.  Where the policy asks for it, ``consent`` is the
    registrar's signature (:mod:`chain.content.consents`); both fields are empty otherwise.  ``guardians`` are those
    whom :class:`NameGuardians` would name, or nobody.
    """

    registrar: bytes = b""
    consent: bytes = b""
    policy_version: int = 1
    guardians: bytes = b""


class Rate(NamedTuple):
    """The actor rates another member; a new rating in the same category replaces the old one.

    Where the policy asks for it, ``receipt`` is the rated member's signature under a dealing
    (:mod:`chain.content.consents`): the digest of what was dealt, and the slot in which that was; the three are empty
    otherwise.
    """

    subject: bytes
    category: int
    points: int
    dealing: bytes = b""
    dealt_slot: int = 0
    receipt: bytes = b""


class Retract(NamedTuple):
    """The actor takes back its rating of a member."""

    subject: bytes
    category: int


class Dispute(NamedTuple):
    """The actor objects to what ``rater`` said of it."""

    rater: bytes
    category: int
    grounds: bytes


class Reply(NamedTuple):
    """The actor gives a reason for its rating of a member who objected."""

    subject: bytes
    category: int
    reason: bytes


class FileRecord(NamedTuple):
    """An authority records conduct of a member: ``evidence`` and ``reason`` are digests of documents kept elsewhere.

    ``established_slot`` is when the conduct was established, ``policy_version`` the rules that the authority filed
    under.  ``reason`` is empty unless the category needs one; ``severity`` is 0 where it knows none.
    """

    subject: bytes
    category: int
    points: int
    severity: int
    evidence: bytes
    reason: bytes
    established_slot: int
    policy_version: int


class Reopen(NamedTuple):
    """An authority records again what a record that ended was about, for new evidence and with a written reason.

    ``consent`` is the signature of ``arbiter`` (:mod:`chain.content.consents`); the other fields are those of a record.
    """

    subject: bytes
    category: int
    points: int
    severity: int
    evidence: bytes
    reason: bytes
    established_slot: int
    policy_version: int
    arbiter: bytes
    consent: bytes


class Attest(NamedTuple):
    """An authority attests an attribute of a member until a date: ``digest`` is that of a document kept elsewhere.

    Without a digest whoever attested it, or the member itself, takes it back; then ``until_slot`` is 0.
    """

    subject: bytes
    attribute: int
    digest: bytes
    until_slot: int


class Object(NamedTuple):
    """The member objects to record ``number`` about itself; its points are suspended at once."""

    subject: bytes
    number: int
    grounds: bytes


class Answer(NamedTuple):
    """The issuer of a record corrects it (to better ``points``), withdraws it, or maintains it."""

    subject: bytes
    number: int
    verdict: int
    points: int
    reason: bytes


class Rule(NamedTuple):
    """An arbiter strikes or upholds a record that is maintained, or lifts or keeps one that is to be repaired."""

    subject: bytes
    number: int
    verdict: int
    reason: bytes


class Appeal(NamedTuple):
    """The member appeals against record ``number`` about itself, which an arbiter upheld."""

    subject: bytes
    number: int
    grounds: bytes


class Repair(NamedTuple):
    """The member asks for repair of a record, or its issuer approves or declines that."""

    subject: bytes
    number: int
    step: int
    document: bytes


class Statement(NamedTuple):
    """The member's own words beside a record; empty to take them back."""

    subject: bytes
    number: int
    statement: bytes


class Rotate(NamedTuple):
    """The actor moves to ``new_key``, whose ``proof`` (:mod:`chain.content.consents`) shows that somebody holds it."""

    new_key: bytes
    proof: bytes


class Propose(NamedTuple):
    """A validator proposes, and so approves."""

    proposal: Proposal


class Approve(NamedTuple):
    """A validator approves an open motion."""

    number: int


class Evidence(NamedTuple):
    """Two statements that one validator must not both have signed, the one with the smaller id first.

    Each is a header or an attestation, encoded.
    """

    first: bytes
    second: bytes


class Consent(NamedTuple):
    """Whom an open motion would make a validator or an authority agrees; its key may be new to the chain."""

    number: int


class Lost(NamedTuple):
    """A validator lost its signing state, and speaks with a fresh random ``tag`` instead of ``old`` once this is final.

    Where another tag than ``old`` is known by then, it is void: a restart has renewed it, say.
    """

    old: bytes
    tag: bytes


class NameGuardians(NamedTuple):
    """The actor names who may recover it, as :func:`chain.content.identities.commitment_of`; empty for nobody."""

    commitment: bytes


class Recover(NamedTuple):
    """A member is to move to the actor, a key that nobody has had.

    So say those who may (:mod:`chain.content.consents`): ``threshold`` of ``guardians``, whose ``signatures`` stand in
    their order, empty where one has not signed, and which the member's commitment holds with ``salt``; or, where there
    are none, ``registrar``.
    """

    subject: bytes
    step: int
    threshold: int = 0
    guardians: tuple[bytes, ...] = ()
    salt: bytes = b""
    signatures: tuple[bytes, ...] = ()
    registrar: bytes = b""
    consent: bytes = b""


class Veto(NamedTuple):
    """The actor stops its recovery, or stays after all."""

    what: int


class Annul(NamedTuple):
    """A registrar says that an enrolment is void, the member objects or appeals, an arbiter decides; with a reason."""

    subject: bytes
    step: int
    reason: bytes


class Leave(NamedTuple):
    """The actor withdraws its consent; everything about it is forgotten after the notice period."""


class Anchor(NamedTuple):
    """The actor made a report, of a kind by ``report``, beside the chain, and says of what: digests of documents.

    Whoever runs ``code`` again on ``data``, with ``model`` where there is one, gets ``result`` to the byte.
    """

    report: int
    data: bytes
    code: bytes
    model: bytes
    result: bytes


Action: TypeAlias = (
    Enrol
    | Rate
    | FileRecord
    | Reopen
    | Object
    | Appeal
    | Answer
    | Rule
    | Repair
    | Statement
    | Rotate
    | Propose
    | Approve
    | Evidence
    | Consent
    | Lost
    | Retract
    | Dispute
    | Reply
    | NameGuardians
    | Recover
    | Veto
    | Annul
    | Leave
    | Anchor
    | Attest
)

# Verdicts of Answer
CORRECT, WITHDRAW, MAINTAIN = 1, 2, 3
# Verdicts of Rule
STRIKE, UPHOLD = 1, 2
# Steps of Repair
ASK, APPROVE, DECLINE = 1, 2, 3
# Steps of Recover
RECOVER, UNDO = 1, 2
# What a Veto stops
RECOVERY, LEAVE = 1, 2
# Steps of Annul
ANNUL, CONTEST, GRANT, DENY, APPEAL = 1, 2, 3, 4, 5
# Kinds of reports that are anchored
AUDIT = 1
