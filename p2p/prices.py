"""What the ledger's replies cost whom: chain and state are free once, and all else that is asked for has a price."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from chain.base.errors import Refused
from chain.base.newest import Newest
from chain.protocol import serving
from chain.protocol.messages import GetPart
from chain.protocol.serving import Question
from p2p.dues import Inquiry, Order, PlainOrder

PROOF, STATE = "proof", "state"
# What a proof costs its asker beside its bytes: one takes up to 150 ms of the node's own turn, hence one a second.
PROOF_BYTES = 800_000
# Parts of the state that were given to whom: some ten joins of a state of a gigabyte.
MAX_GIVEN_PARTS = 65_536


class Prices:
    """See :class:`p2p.dues.Tariff`."""

    def __init__(self) -> None:
        self._given = serving.Given()
        self._parts: Newest[tuple[str, bytes], None] = Newest(MAX_GIVEN_PARTS)

    def order(self, inquiry: Inquiry) -> Order:
        """Of the stored chain, of the state, of a proof, or of something else."""
        if (part := _of_the_state(inquiry)) is not None:
            return _StateOrder(self._parts, part, inquiry.askers)
        question = _of_the_chain(inquiry)
        if question is not None:
            return _ChainOrder(self._given, question, inquiry.askers)
        return _ProofOrder(inquiry.peer_id) if inquiry.name == PROOF else PlainOrder(inquiry.peer_id)


@dataclass(frozen=True, slots=True)
class _ChainOrder:
    """Blocks or headings."""

    given: serving.Given
    question: Question
    askers: tuple[str, ...]

    def debtor(self) -> str | None:
        """The peer or its neighbourhood, where it was given some of this before; None where that is of use."""
        return self.given.debtor(self.question, self.askers)

    def price(self, reply: bytes) -> int:
        """Its bytes.  From now on this was given."""
        self.given.note(self.question, self.askers, reply)
        return len(reply)


@dataclass(frozen=True, slots=True)
class _StateOrder:
    """A part of the state, by where it begins."""

    given: Newest[tuple[str, bytes], None]
    part: bytes
    askers: tuple[str, ...]

    def debtor(self) -> str | None:
        """The peer or its neighbourhood, where it was given this before; None where that is of use."""
        return next((asker for asker in self.askers if (asker, self.part) in self.given), None)

    def price(self, reply: bytes) -> int:
        """Its bytes.  From now on this was given."""
        self.given.update(((asker, self.part), None) for asker in self.askers)
        return len(reply)


class _ProofOrder(PlainOrder):
    """A proof."""

    def price(self, reply: bytes) -> int:
        """Its bytes, and what making it takes."""
        return len(reply) + PROOF_BYTES


def _of_the_chain(inquiry: Inquiry) -> Question | None:
    """What is asked of the stored chain; None where it is something else, or cannot be read."""
    for kind in serving.KINDS:
        if kind.name == inquiry.name and kind.is_stored:
            with suppress(Refused):
                return kind.decode(inquiry.request)
    return None


def _of_the_state(inquiry: Inquiry) -> bytes | None:
    """Where the part of the state begins that is asked for; under which root says nothing, roots come and go."""
    if inquiry.name == STATE:
        with suppress(Refused):
            return GetPart.decode(inquiry.request).part.first
    return None
