"""Scenes about motions: moved, approved, and moved again where they lapse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from chain.base.errors import OperatorError
from chain.content.actions import Approve, Consent, Propose
from chain.content.proposals import Accredit, Amend, Proposal
from scripts.municipal.cast import Player
from scripts.municipal.scenes import Do, Scene, Until
from scripts.municipal.stage import Stage
from scripts.recount.lives import CARRIED, OPEN
from scripts.recount.rows import proposal_row

# A motion lives for 60 slots, and being carried takes it 12 where nothing is slow.
MAX_MOVES = 5
FOREVER = 2**48


def _same(proposal: Proposal) -> Proposal:
    return proposal


class Carrying(Stage):
    """What validators decide together."""

    def _accreditations(self) -> Iterator[Scene]:
        for number, office in enumerate(self.cast.institutions):
            mover = self.cast.validators[number % len(self.cast.validators)]
            proposal = Accredit(office.player.key, office.rights, office.categories, 0, FOREVER)
            voters = [voter for voter in self.cast.validators if voter is not mover]
            yield self._carry(mover, voters, partial(_same, proposal), office.player)

    def _carry(
        self, mover: Player, voters: Sequence[Player], make: Callable[[], Proposal], invited: Player | None = None
    ) -> Scene:
        """Move, approve and, as who is invited, consent; where the motion lapses before enough did, move it again."""
        motions = self.paper.motions
        # Who approves after it is carried is refused.
        needed = voters[: 2 * len(self.cast.validators) // 3]
        for _ in range(MAX_MOVES):
            before, proposal = len(motions), make()
            yield [Do(mover, Propose(proposal), partial(self._is_timely, proposal))]
            row = proposal_row(proposal)
            for number in [at for at in range(before, len(motions)) if motions[at].proposal == row]:
                consents = [] if invited is None else [Do(invited, Consent(number), partial(self._is_open, number))]
                approvals = [Do(voter, Approve(number), partial(self._is_open, number)) for voter in needed]
                yield [*consents, *approvals]
                yield Until(partial(self._is_closed, number))
                if motions[number].status == CARRIED:
                    return
        raise OperatorError(
            f"{MAX_MOVES} motions in a row lapsed before enough validators could approve: "
            "this machine is too slow for such short slots; choose a larger --slot-ms"
        )

    def _is_open(self, number: int) -> bool:
        return self.paper.motions[number].status == OPEN

    def _is_closed(self, number: int) -> bool:
        return not self._is_open(number)

    def _is_timely(self, proposal: Proposal) -> bool:
        """Whether an amendment still leaves the notice that it has to give."""
        notice_slots = self.slots(self.paper.policy["periods"]["notice_days"])
        return not isinstance(proposal, Amend) or self.paper.date + notice_slots < proposal.effective_slot
