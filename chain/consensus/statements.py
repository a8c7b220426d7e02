"""What a validator says about a branch, and when two things that it said prove it a liar.

A *statement* is a header or an attestation (:mod:`chain.consensus.attestations`): both say in the same terms which tip
a validator stands behind, and both count as votes (:mod:`chain.consensus.votes`).  ``mhg`` (max height generated) is
the largest height that its speaker had spoken at before, on any branch; ``mhp`` (max height prevoted) the largest
prevoted height of the tip's branch; ``tag`` names the signing state that the speaker said it from.
Source: J. Hackfeld, "A lightweight BFT consensus protocol for blockchains", arXiv 1903.11434; LIP 0014; protocol 3.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

TAG_BYTES = 16
NO_TAG = bytes(TAG_BYTES)
"""The tag of a validator that never lost its signing state."""


class Statement(Protocol):
    """The fields by which statements are compared."""

    @property
    def height(self) -> int: ...
    @property
    def mhg(self) -> int: ...
    @property
    def mhp(self) -> int: ...


class SignedStatement(Statement, Protocol):
    """What it takes to hold a speaker to account; ``slot`` is None for an attestation, which has none."""

    @property
    def id(self) -> bytes: ...
    @property
    def speaker(self) -> bytes: ...
    @property
    def tag(self) -> bytes: ...
    @property
    def slot(self) -> int | None: ...


class Said(NamedTuple):
    """A statement by its numbers alone."""

    height: int
    mhg: int
    mhp: int


def contradicting(s1: Statement, s2: Statement) -> bool:
    """Whether two *distinct* statements of one validator prove that it broke the protocol (LIP 0014).

    What an honest validator says, in the order in which it said it, are disjoint votes on tips that only get better.

    Example: a header at height 7 whose signer had signed up to height 4, and another at 9.  That says that its signer
    had signed up to 7, as is true; if it says 4, it conceals the first:

    >>> contradicting(Said(7, mhg=4, mhp=5), Said(9, mhg=7, mhp=5))
    False
    >>> contradicting(Said(7, mhg=4, mhp=5), Said(9, mhg=4, mhp=5))
    True
    """
    if (s1.mhg, s1.mhp, s1.height) > (s2.mhg, s2.mhp, s2.height):
        s1, s2 = s2, s1
    return (
        (s1.mhp == s2.mhp and s1.height >= s2.height)  # changed branches without a reason, or signed twice
        or s1.height > s2.mhg  # concealed a block that it had signed
        or s1.mhp > s2.mhp  # left the branch with more prevotes
    )


def is_equivocation(s1: SignedStatement, s2: SignedStatement) -> bool:
    """Whether two statements are evidence against one validator: contradicting, or two headers for the same slot.

    What was said from another signing state, before that was lost, proves nothing.  Source: protocol 3.4.
    """
    if s1.speaker != s2.speaker or s1.tag != s2.tag or s1.id == s2.id:
        return False
    return (s1.slot is not None and s1.slot == s2.slot) or contradicting(s1, s2)
