"""What every header has to satisfy on its branch, whoever looks at it: a node, a tool, or the reader of a proof.

Two steps, since the first needs the header before it alone.  The header's own signature is another matter
(:func:`~chain.consensus.headers.verify_header`), and so is what the transactions do (:mod:`chain.branches.ledger`):
that a ballot tells truly what they decide is taken on trust here, and no honest validator attests a block whose
execution says otherwise.  Source: protocol 2.4.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.consensus.attestations import Carried, VerifiedAttestation, complete
from chain.consensus.ballots import Ballot
from chain.consensus.headers import Header
from chain.consensus.restart import restarted
from chain.consensus.votes import CARRIED_PER_SPEAKER, Count, Votes


def check_follows(header: Header, parent: Header) -> None:
    """Whether a header can stand right after ``parent``.

    Raises :class:`Refused`: ``UNKNOWN_PARENT``, ``WRONG_HEIGHT`` or ``SLOT_NOT_AFTER_PARENT``.
    """
    if header.parent != parent.id:
        raise Refused(Reason.UNKNOWN_PARENT, f"it does not follow from the header at height {parent.height}")
    if header.height != parent.height + 1:
        raise Refused(Reason.WRONG_HEIGHT, f"height {header.height} after {parent.height}")
    if header.slot <= parent.slot:
        raise Refused(Reason.SLOT_NOT_AFTER_PARENT, f"slot {header.slot} after {parent.slot}")


def check_ballot(header: Header, ballot: Ballot) -> None:
    """Whether a header commits to a ballot.  Raises :class:`Refused` ``WRONG_VOTES_ROOT``."""
    if ballot.root != header.votes_root:
        raise Refused(Reason.WRONG_VOTES_ROOT, "the ballot is not the one that the header commits to")


def judge(header: Header, ballot: Ballot, votes: Votes, chain_id: bytes, *, is_vouched: bool = False) -> Votes:
    """The votes after a header with its ballot, from those after its parent.

    A restart comes first: then they are those of its tip, made final.  The leader must be right, not barred, and speak
    from the signing state that the branch knows; every attestation must be one that this branch can carry; ``mhp`` must
    be what the votes say once they are counted; and the header must not contradict what its proposer said on the branch
    (LIP 0014).  Raises :class:`Refused`: ``WRONG_LEADER``, ``BARRED``, ``WRONG_TAG``, ``WRONG_RESTART``,
    ``TOO_MANY_ATTESTATIONS``, what :func:`take` says, ``WRONG_MHP``, ``CONTRADICTS_EARLIER_BLOCK``,
    ``WRONG_DECISION``.

    Votes that are blind know nothing of what was said up to there: attestations of that
    are left aside, and as long as nothing above it is prevoted, any ``mhp`` up to it is let pass.

    ``is_vouched`` says that the header is known to be right by its id, so that no attestation's signature is looked at.
    """
    votes = restarted(votes, ballot.restart, header.parent, chain_id)
    check_leader(header, votes)
    electorate = votes.electorate
    if len(ballot.attestations) > CARRIED_PER_SPEAKER * len(electorate.speakers):
        raise Refused(Reason.TOO_MANY_ATTESTATIONS, f"{len(ballot.attestations)} attestations")
    count = votes.open(header.height)
    for carried in ballot.attestations:
        if carried.height > votes.blind:
            take(count, carried, chain_id, is_vouched=is_vouched)
    mhp = count.carried_all()
    if mhp == votes.blind and header.mhp < votes.blind:
        count.believe(header.mhp)
    elif header.mhp != mhp:
        raise Refused(Reason.WRONG_MHP, f"mhp {header.mhp} where the branch has {mhp}")
    count.speak(header.proposer, header.mhg)
    return count.close(header.id, ballot.decision)


def check_leader(header: Header, votes: Votes) -> None:
    """Whether a header's proposer may make it.

    Raises :class:`Refused`: ``WRONG_LEADER``, ``BARRED``, ``WRONG_TAG``.
    """
    electorate = votes.electorate
    if header.proposer != electorate.leader(header.slot):
        raise Refused(Reason.WRONG_LEADER, f"slot {header.slot} is another validator's")
    if header.proposer in electorate.barred:
        raise Refused(Reason.BARRED, "its proposer is jailed on this branch")
    tag = electorate.tag(header.proposer)
    if header.tag != tag.tag or tag.height > votes.mhpc:
        raise Refused(Reason.WRONG_TAG, "not from the signing state that this branch knows of its proposer")


def whole(carried: Carried, votes: Votes, chain_id: bytes) -> VerifiedAttestation:
    """A carried attestation whole, as the votes after the block that carries it know what it is about.

    Raises :class:`Refused` ``BAD_SIGNATURE``, :class:`InvariantBroken` for one that the block could not carry.
    """
    row, following = votes.row(carried.height), votes.row(carried.height + 1)
    if row is None or following is None:
        raise InvariantBroken(f"an attestation of height {carried.height} carried at {votes.height}")
    tag = following.electorate.tag(carried.speaker).tag
    return complete(carried, chain_id, tag=tag, tip=row.id, mhp=row.mhp)


def take(count: Count, carried: Carried, chain_id: bytes, *, is_vouched: bool = False) -> None:
    """Count an attestation in the block that is being counted.

    Raises :class:`Refused`, and has counted nothing then: as :meth:`~chain.consensus.votes.Count.take` does, and
    ``BAD_SIGNATURE`` where its speaker did not say it about this branch, unless it ``is_vouched`` for.
    """
    height, speaker, mhg, _ = carried
    if refusal := count.refuse(speaker, height, mhg):
        raise refusal
    if not is_vouched:
        row, tag = count.about(speaker, height)
        complete(carried, chain_id, tag=tag.tag, tip=row.id, mhp=row.mhp)
    count.add(speaker, height, mhg)
