"""A short story of any policy, chapter by chapter.

Nothing here waits for a moment: where somebody answers, the chain decides whether that was in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from chain.content.actions import APPROVE, CORRECT, DECLINE, STRIKE, WITHDRAW, Dispute, Enrol, Rate, Reply, Retract
from chain.content.consents import sign_consent, sign_receipt
from chain.content.policy import RatingCategory
from scripts.municipal.carrying import Carrying
from scripts.municipal.casework import Casework
from scripts.municipal.cast import Player
from scripts.municipal.scenes import Chapter, Do, Scene, Until
from scripts.municipal.stage import digest
from scripts.tale import plots
from scripts.tale.company import Troupe
from scripts.tale.plots import LONGEST_SLOTS, Plot


class Tale(Carrying, Casework):
    """The chapters, for one director's chain."""

    cast: Troupe

    def chapters(self) -> Iterator[Chapter]:
        """One after the other, as far as the policy has anything to tell."""
        cast, policy, rules = self.cast, self.genesis.policy, self.genesis.policy.raters
        if cast.institutions:
            yield Chapter(f"{len(cast.institutions)} offices are accredited by motion", list(self._accreditations()))
        yield Chapter(f"{len(cast.members)} members enrol", [self._enrolments()])
        if cast.parts:
            yield Chapter("records are filed in every category", [self._filings()])
            yield Chapter("members object, and ask for repair", [self._becomes(*part) for part in cast.parts])
        rated = [rating for _, rating in sorted(policy.ratings.items()) if not rating.is_closed][: rules.most_given]
        if rated and self._can_rate():
            yield Chapter("members rate each other", [self._ratings(rating) for rating in rated])
            yield Chapter("ratings are taken back, objected to and answered", [self._objections(rated[0])])

    # ------------------------------------------------------------------------------------------------- records

    def _enrolments(self) -> Scene:
        yield [Do(member, self._enrolment(member)) for member in self.cast.members]

    def _enrolment(self, member: Player) -> Enrol:
        if not self.genesis.policy.enrolment_by_registrar:
            return Enrol(policy_version=self.paper.version)
        registrar, expiry_height = self.cast.registrar, self.genesis.max_expiry_blocks
        consent = sign_consent(registrar.secret, self.genesis.id, member.key, expiry_height)
        return Enrol(registrar.key, consent, self.paper.version)

    def _filings(self) -> Scene:
        yield [
            self._file(self.cast.office, member, plot.category.code, plot.points, plot.severity, plot.age_days)
            for plot, member in self.cast.parts
        ]

    def _becomes(self, plot: Plot, member: Player) -> Scene:
        office = self.cast.office
        match plot.what:
            case plots.SILENCE if self.slots(self.genesis.policy.answer_days) <= LONGEST_SLOTS:
                return self._silence(member)
            case plots.WITHDRAWN:
                return self._answered(member, office, WITHDRAW)
            case plots.CORRECTED:
                return self._answered(member, office, CORRECT)
            case plots.STRUCK:
                return self._ruling(member, office, STRIKE)
            case plots.APPEALED:
                return self._appeal(member, office)
            case plots.REPAIRED:
                return self._repair(member, office, APPROVE)
            case plots.DECLINED:
                return self._repair(member, office, DECLINE)
            case plots.STATED:
                return self._comment(member)
            case _:
                return self._nothing()

    def _nothing(self) -> Scene:
        yield from ()

    # ------------------------------------------------------------------------------------------------- ratings

    def _can_rate(self) -> bool:
        """Whether who has just enrolled may rate soon."""
        rules = self.genesis.policy.raters
        return rules.least_score <= self.genesis.policy.base and self.slots(rules.age_days) <= LONGEST_SLOTS

    def _ratings(self, rating: RatingCategory) -> Scene:
        """Everybody rates the others, as many as one may."""
        rules = self.genesis.policy.raters
        oldest = max(self.paper.consents[member.key][0] for member in self.cast.raters)
        yield Until(lambda: not rules.age_days or self.paper.date >= oldest + self.slots(rules.age_days))
        yield [
            Do(rater, self._rating(rater, rated, rating), partial(self._may_rate, rater))
            for at, rater in enumerate(self.cast.raters)
            for rated in self._rated_by(at)[: max(1, rules.most_given // len(self.genesis.policy.ratings))]
        ]

    def _rated_by(self, at: int) -> list[Player]:
        """The others, from the next one on."""
        raters = self.cast.raters
        return [*raters[at + 1 :], *raters[:at]]

    def _rating(self, rater: Player, rated: Player, rating: RatingCategory) -> Rate:
        points = rating.high if rated is not self.cast.raters[-1] else rating.low
        if not self.genesis.policy.raters.counting:
            return Rate(rated.key, rating.code, points)
        dealing, dealt_slot = digest(f"{rater.name} deals with {rated.name}"), self.paper.date
        receipt = sign_receipt(rated.secret, self.genesis.id, rater.key, dealing, dealt_slot)
        return Rate(rated.key, rating.code, points, dealing, dealt_slot, receipt)

    def _objections(self, rating: RatingCategory) -> Scene:
        """Of the ratings of three by their neighbours one is taken back, one is answered for, and one falls."""
        first, second, third, fourth = self.cast.raters
        code, question = rating.code, digest("why?")
        yield [
            Do(first, Retract(second.key, code), lambda: bool(self._said(first, second, rating))),
            Do(third, Dispute(second.key, code, question), lambda: self._said(second, third, rating) == "standing"),
            Do(fourth, Dispute(third.key, code, question), lambda: self._said(third, fourth, rating) == "standing"),
        ]
        reply = Reply(third.key, code, digest("because"))
        yield [Do(second, reply, lambda: self._said(second, third, rating) == "disputed")]
        if self.slots(self.genesis.policy.raters.answer_days) <= LONGEST_SLOTS:
            yield Until(lambda: self._said(third, fourth, rating) != "disputed")

    def _may_rate(self, rater: Player) -> bool:
        return self.paper.standing(rater.key).score >= self.genesis.policy.raters.least_score

    def _said(self, rater: Player, rated: Player, rating: RatingCategory) -> str:
        """What became of a rating; empty where it is gone."""
        voice = self.paper.ratings[rated.key].get((rater.key, rating.code))
        return "" if voice is None else voice.status
