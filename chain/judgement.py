"""What every header has to satisfy on its branch, whoever looks at it: a node, a tool, or the reader of a proof.

Two steps, because between them the looker finds out who validates at the header's height.  Signatures are another
matter (:func:`~chain.headers.verify_header`), and so is what the transactions do (:mod:`chain.ledger`).
Source: protocol 2.4.
"""

from __future__ import annotations

from chain.errors import Reason, Refused
from chain.headers import Header
from chain.votes import Votes


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


def judge(header: Header, votes: Votes, counted_above: int = 0) -> Votes:
    """The votes after a header, from those after its parent with the validators in force at its height.

    Its leader must be right, its ``mhp`` what the votes say, and it must not contradict its proposer's latest block
    (LIP 0014).  Raises :class:`Refused`: ``WRONG_LEADER``, ``WRONG_MHP`` or ``CONTRADICTS_EARLIER_BLOCK``.

    ``counted_above`` is the height from whose successor on votes were counted; a node counts from the genesis.  Who
    begins later knows nothing of what is prevoted up to there: as long as nothing above it is, any ``mhp`` up to it
    is let pass.
    """
    if header.proposer != votes.newest_set.leader(header.slot):
        raise Refused(Reason.WRONG_LEADER, f"slot {header.slot} is another validator's")
    is_unknown = votes.mhp == counted_above and header.mhp < counted_above
    if header.mhp != votes.mhp and not is_unknown:
        raise Refused(Reason.WRONG_MHP, f"mhp {header.mhp} where the branch has {votes.mhp}")
    if votes.contradicts(header):
        raise Refused(Reason.CONTRADICTS_EARLIER_BLOCK, "its proposer's latest block rules it out")
    return votes.apply(header)
