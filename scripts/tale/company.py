"""Who takes part in a tale, each with a key that follows from the network's seed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from chain.base.keys import SecretKey
from chain.content.policy import Policy
from chain.content.proposals import ARBITER, REGISTRAR
from scripts.municipal.cast import ARBITERS, Company, Institution, Player
from scripts.tale.plots import Plot, plots

# So many rate each other.
RATERS = 4

_DOMAIN = b"goodfaith/tale/1"


class Troupe(Company):
    """As many as the plots of a policy need: ``parts`` say whom each is about, ``raters`` rate each other."""

    def __init__(self, seed: bytes, validators: Sequence[SecretKey], policy: Policy) -> None:
        def player(name: str) -> Player:
            return Player(name, SecretKey(sha256(_DOMAIN + seed + name.encode()).digest()))

        self.registrar = player("the registrar")
        self.office = player("the office")
        self.parts: list[tuple[Plot, Player]] = [
            (plot, player(f"member {number}")) for number, plot in enumerate(plots(policy), 1)
        ]
        self.raters = [player(f"rater {number}") for number in range(1, RATERS + 1)] if policy.ratings else []
        self.members = [*(member for _, member in self.parts), *self.raters]
        codes = tuple(sorted({plot.category.code for plot, _ in self.parts}))
        registrars = [Institution(self.registrar, REGISTRAR, ())] if policy.enrolment_by_registrar else []
        offices = [Institution(self.office, 0, codes)] if codes else []
        arbiters = [Institution(player(f"arbiter {at}"), ARBITER, ()) for at in range(1, ARBITERS + 1)] if codes else []
        seated = [Player(f"validator {number}", secret) for number, secret in enumerate(validators, 1)]
        super().__init__(seated, [*registrars, *offices, *arbiters], self.members)
