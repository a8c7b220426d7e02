"""What the ledger's replies cost whom: chain and state are free once, and all else that is asked for has a price."""

from __future__ import annotations

from contextlib import suppress

from chain import serving
from chain.errors import Refused
from chain.messages import GetPart
from chain.newest import Newest
from chain.serving import Question
from p2p.dues import Inquiry

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

    def debtor(self, inquiry: Inquiry) -> str | None:
        """The peer or its neighbourhood, where it was given some of this before; None where that is of use."""
        if (part := _of_the_state(inquiry)) is not None:
            return next((asker for asker in inquiry.askers if (asker, part) in self._parts), None)
        question = _of_the_chain(inquiry)
        return inquiry.peer_id if question is None else self._given.debtor(question, inquiry.askers)

    def price(self, inquiry: Inquiry, reply: bytes) -> int:
        """Its bytes, and of a proof what making it takes.  From now on this was given."""
        if (part := _of_the_state(inquiry)) is not None:
            self._parts.update(((asker, part), None) for asker in inquiry.askers)
        question = _of_the_chain(inquiry)
        if question is not None:
            self._given.note(question, inquiry.askers, reply)
        return len(reply) + (PROOF_BYTES if inquiry.name == PROOF else 0)


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
