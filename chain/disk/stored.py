"""What a home has stored: its blocks, with or without their bodies, how far they are final, and the policy in force."""

from __future__ import annotations

from chain.base.codec import count_items
from chain.base.errors import OperatorError, Reason, Refused
from chain.consensus.headers import VerifiedHeader
from chain.content.blocks import HEADING_ITEMS, Block, assemble, decode_block, decode_heading
from chain.content.policy import Policy
from chain.content.policyfile import decode_policy
from chain.content.transactions import VerifiedTransaction
from chain.disk.database import Database
from chain.register.entries import PolicyText, Rules
from chain.register.statekeys import RULES_KEY, policy_key


class BodyGone(OperatorError):
    """Of a block this home keeps the header and the votes only: its window has passed."""

    def __init__(self, height: int) -> None:
        super().__init__(
            f"this home keeps no transactions of height {height} any more: ask a node that does, one whose mode is "
            "archive, or fetch them all by setting that mode here"
        )


def is_bare(raw: bytes) -> bool:
    """Whether of a stored block its heading is all that is here.  Raises :class:`Refused`."""
    return count_items(raw) == HEADING_ITEMS


def oldest_body(database: Database) -> int:
    """The height from which on a home keeps every body; 1 where it dropped none."""
    return database.number("bodies") or 1


def counted_from(database: Database) -> int:
    """The height from which on transactions are counted; 1 but where it joined by state, and lacks older bodies."""
    return database.number("counted_from") or 1


def trusted_block(raw: bytes) -> Block:
    """Decode a block that this home stored: its signatures were checked before, its root is checked again.

    Raises :class:`BodyGone` where its heading is all that is left.
    """
    if is_bare(raw):
        raise BodyGone(decode_heading(raw)[0].height)
    header, ballot, transactions = decode_block(raw)
    return assemble(VerifiedHeader(header), ballot, [VerifiedTransaction(item) for item in transactions])


def stored_finality(database: Database) -> int:
    """Up to which height its blocks are final."""
    return database.number("finalized")


def policy_in_force(database: Database) -> Policy:
    """The policy of the stored state.  Raises :class:`Refused` where it has none."""
    rules = database.entry(RULES_KEY)
    text = database.entry(policy_key(rules.version)) if isinstance(rules, Rules) else None
    if not isinstance(text, PolicyText):
        raise Refused(Reason.MALFORMED, "the stored state has no policy")
    return decode_policy(text.document)
