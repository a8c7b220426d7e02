"""The story of a city's credit register.

Three agencies and four arbiters are accredited, two hundred members enrol, records of all severities are filed.
Objections are won by silence, by ruling, on appeal, and lost; a lost key is recovered, a member leaves; records are
repaired and expire; an issuer is suspended by its own error rate; the policy is amended without worsening anybody's
past; a validator is replaced; and what ended is not filed again.

A rehearsal's day is short, and everything else is as the city's policy has it.  Nothing here waits for a moment:
where somebody answers, the chain decides whether that was in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chain.content.actions import APPROVE, CORRECT, DECLINE, UPHOLD, WITHDRAW
from chain.content.policy import Policy
from chain.content.policyfile import read_policy, shipped_policy
from chain.content.proposals import Amend, ReplaceValidator, Restore
from scripts.municipal.carrying import Carrying
from scripts.municipal.casework import GENERAL, MINOR, SERIOUS
from scripts.municipal.people import People
from scripts.municipal.scenes import Chapter, Scene, Until
from scripts.municipal.stage import SLOTS_A_DAY
from scripts.recount.lives import SUSPENDED

# An amendment that is moved has to be carried before its notice begins: three times what that takes.
CARRYING_DAYS = 15
FINE_CODE = 13


def rehearsal_policy(slot_ms: int) -> Policy:
    """The city's policy with a day of :data:`SLOTS_A_DAY` slots.

    Nobody waits years for conduct to be old here: what was established before the members enrolled is recorded too,
    as their consent to this policy says.
    """
    document = shipped_policy("municipal").to_document()
    rights = {**document["rights"], "lookback_days": document["periods"]["retention_days"]}
    return read_policy({**document, "day_ms": SLOTS_A_DAY * slot_ms, "rights": rights})


class Story(Carrying, People):
    """The chapters, for one director's chain."""

    def chapters(self) -> Iterator[Chapter]:
        """One after the other; each is made when it begins."""
        cast, member = self.cast, self.cast.member
        yield Chapter("three agencies and four arbiters are accredited by motion", list(self._accreditations()))
        yield Chapter("two hundred members enrol, each with the civil office's consent", [self._enrolments()])
        yield Chapter("the agencies file what they know", [self._filings()])
        market, bank = cast.market, cast.bank
        yield Chapter(
            "members object, one leaves, one lost its key, and an amendment is announced",
            [
                self._silence(member(17)),
                self._silence(member(18)),
                self._ruling_after_moving(member(19), market),
                self._ruling(member(20), market, UPHOLD),
                self._answered(member(31), bank, WITHDRAW),
                self._answered(member(32), bank, CORRECT),
                self._ruling(member(33), bank, None),
                self._appeal(member(34), bank),
                self._comment(member(39)),
            ],
            [self._amendment(), self._recovery(member(40)), self._departure(member(97))],
        )
        yield Chapter(
            "records are repaired, corrected, and expire",
            [
                self._repair(member(35), bank, APPROVE),
                self._repair(member(36), bank, None),
                self._repair(member(37), bank, DECLINE),
                self._corrected_unasked(member(38), bank),
                self._expiry(member(86)),
            ],
        )
        yield Chapter("the amended policy comes into force", [self._in_force()])
        yield Chapter("a validator is replaced", [self._replacement()])
        yield Chapter("the market office is restored, and files under the new policy", [self._restoration()])
        yield Chapter("what ended stays ended", [self._refiling(market, member(17)), self._return(member(97))])

    # ------------------------------------------------------------------------------------------------- validators

    def _amendment(self) -> Scene:
        mover, *voters = self.cast.validators
        return self._carry(mover, voters, self._amend)

    def _amend(self) -> Amend:
        """Tier A begins lower, a fine costs less, the discretionary category takes no new records."""
        document = dict(self.paper.policy)
        days = document["periods"]["notice_days"] + CARRYING_DAYS
        tiers = [{**tier, "from": 950} if tier["name"] == "A" else tier for tier in document["tier"]]
        categories = [self._amended_category(category) for category in document["category"]]
        version = document["version"] + 1
        policy = read_policy({**document, "version": version, "tier": tiers, "category": categories})
        return Amend(version - 1, self.paper.date + SLOTS_A_DAY * days, policy.encode())

    @staticmethod
    def _amended_category(category: dict[str, Any]) -> dict[str, Any]:
        if category["code"] == FINE_CODE:
            return {**category, "min": -3, "max": -3}
        return {**category, "closed": True} if category["reason"] else category

    def _in_force(self) -> Scene:
        yield Until(lambda: self.paper.version > self.genesis.policy.version)

    def _replacement(self) -> Scene:
        """The last validator hands its seat to a newcomer, who agrees to that, and makes blocks from then on."""
        *others, leaving = self.cast.validators
        newcomer = self.cast.newcomer
        yield from self._carry(others[0], others[1:], lambda: ReplaceValidator(leaving.key, newcomer.key), newcomer)
        yield Until(lambda: newcomer.key in self.director.proposers)

    def _restoration(self) -> Scene:
        """The new validator moves it; from now on, the market office's errors are counted anew."""
        market = self.cast.market
        if self.paper.offices[market.key].status == SUSPENDED:
            yield from self._carry(self.cast.newcomer, self.cast.validators[:-1], lambda: Restore(market.key))
        yield [self._file(market, self.cast.member(150), FINE_CODE, -3, MINOR)]

    # ------------------------------------------------------------------------------------------------- records

    def _filings(self) -> Scene:
        cast = self.cast
        bank = [(1, -20), (3, -10), (4, -20), (6, -20), (7, -30)]
        market = [(8, -30), (9, -30), (14, 0), (15, -25)]
        filings = [
            *(self._file(cast.market, cast.member(at), *market[at % 4], GENERAL + at % 2) for at in range(11, 29)),
            *(self._file(cast.market, cast.member(at), FINE_CODE, -5, MINOR) for at in (29, 30)),
            *(self._file(cast.bank, cast.member(at), 1, -20, GENERAL) for at in range(31, 41)),
            *(self._file(cast.bank, cast.member(at), *bank[at % 5], GENERAL) for at in range(41, 86)),
            *(self._file(cast.bank, cast.member(at), 4, -20, MINOR, age_days=50) for at in range(86, 91)),
            *(self._file(cast.bank, cast.member(at), 7, -30, SERIOUS) for at in range(91, 96)),
            *(self._file(cast.bank, cast.member(at), 2, -50, SERIOUS) for at in (96, 97)),
            *(self._file(cast.civil, cast.member(at), 101, 30, 0) for at in range(101, 111)),
            # Hours of volunteering count once, however often they are filed.
            *(self._file(cast.civil, cast.member(at), 111, 5, 0) for at in range(101, 106) for _ in range(2)),
            *(self._file(cast.civil, cast.member(at), code, 5, 0) for at in range(106, 121) for code in (111, 112)),
            *(self._file(cast.civil, cast.member(200), 12, -100, SERIOUS) for _ in range(5)),
            *(self._file(cast.civil, cast.member(at), 10, -20, MINOR) for at in range(196, 200)),
        ]
        yield filings
