"""What people try in a random history: mostly what they may, sometimes not; now and then with the wrong key.

In most histories somebody has a plan besides (:mod:`scripts.histories_parts.attackers`).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random

from chain.content.actions import Approve, Consent, Enrol, Propose
from chain.content.genesis import Genesis
from chain.content.proposals import ALL_RIGHTS, Accredit
from scripts.histories_parts.attackers import Attackers
from scripts.histories_parts.hand import FOREVER, Deed
from scripts.recount.rules import Recount

# How much of what is tried belongs to the plan of somebody who has one.
PLOTTED = 0.6


class Deeds(Attackers):
    """Chooses what is tried next, from what the recount says there is."""

    def __init__(self, random: Random, recount: Recount, genesis: Genesis) -> None:
        super().__init__(random, recount, genesis)
        self._next = []
        self._plot = self.plot()
        is_ruled = bool(genesis.policy.categories)
        # What is tried, and how often.
        self._menu: list[tuple[Callable[[], Deed | None], int]] = [
            (self._enrol, 3),
            (self._rate, (5 if is_ruled else 30) if genesis.policy.ratings else 0),
            (self._speak_of_a_rating, 8 if genesis.policy.ratings else 0),
            (self._own, 8),
            (self._file, 14 if is_ruled else 0),
            (self._object, 10),
            (self._answer, 12),
            (self._rule, 20),
            (self._repair, 10),
            (self._reopen, 3 if is_ruled else 0),
            (self._appeal, 10),
            (self._comment, 1),
            (self._rotate, 2),
            (self._propose, 3),
            (self._approve, 8),
            (self._consent, 4),
            (self._accuse, 1),
            (self._lose, 1),
            (self._anchor, 1),
            (self._attest, 4 if genesis.policy.attributes else 0),
        ]
        self._weights = list(accumulate(weight for _, weight in self._menu))

    def opening(self) -> Iterator[Deed]:
        """How most histories begin: offices are accredited, members enrol."""
        codes = tuple(sorted((*self.policy.categories, *self.policy.attributes)))
        enough = self._enough()
        for number, office in enumerate(self.offices):
            rights = ALL_RIGHTS if number != 1 or not codes else 0
            yield Deed(self.validators[0], Propose(Accredit(office, rights, codes, 0, FOREVER)))
            yield Deed(office, Consent(number))
            for validator in self.validators[1:enough]:
                yield Deed(validator, Approve(number))
        version = self.policy.version
        registrar = self.policy.enrolment_by_registrar
        enrol = Enrol(self.offices[0], bytes(64), version) if registrar else Enrol(policy_version=version)
        for member in self.members + self.offices[2:] * self.random.randrange(2):
            yield Deed(member, enrol)
        if self.random.random() < 0.5:
            number = len(self.recount.motions)
            yield Deed(self.validators[0], Propose(self._amendment()))
            for validator in self.validators[1:enough]:
                yield Deed(validator, Approve(number))

    def _enough(self) -> int:
        """So many validators, from the first, carry a motion."""
        weights = list(self.recount.weights.values())
        return next(count for count in range(1, len(weights) + 1) if 3 * sum(weights[:count]) > 2 * sum(weights))

    def next(self) -> Deed | None:
        """Something to try; None where nothing of the kind makes sense now."""
        if self._next:
            return self._next.pop()
        if self._plot is not None and self.random.random() < PLOTTED:
            return next(self._plot)
        deed = self._menu[bisect(self._weights, self.random.randrange(self._weights[-1]))][0]()
        if deed is not None and self.random.random() < 0.04:
            deed = deed._replace(actor=self.random.choice(self.everybody))
        return deed
