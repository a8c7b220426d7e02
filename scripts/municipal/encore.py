"""The story for who wants to go on with it: at its end the deadlines become long enough for people at a keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from chain.content.policyfile import decode_policy, read_policy
from chain.content.proposals import Amend
from scripts.municipal.scenes import Chapter, Scene, Until
from scripts.municipal.story import Story

# Days of the rehearsal, which last a second each at the usual slot: twenty minutes to answer, to rule or to appeal.
PATIENCE_DAYS = 1_200
# Records outlast that by far, as long as a policy may say.
LONGEST_DAYS = 36_500
_STRETCHED = 100
_PERIODS = ("answer_days", "ruling_days", "repair_answer_days", "motion_days")


class Encore(Story):
    """The chapters, and one more."""

    def chapters(self) -> Iterator[Chapter]:
        """One after the other; the last leaves time."""
        yield from super().chapters()
        version = self.paper.version + 1
        yield Chapter("an amendment gives everybody twenty minutes where there were seconds", [self._patience()])
        yield Chapter("it comes into force after the longer notice", [self._until(version)])

    def _until(self, version: int) -> Scene:
        yield Until(lambda: self.paper.version >= version)

    def _patience(self) -> Scene:
        """By those who still are validators after one was replaced."""
        cast = self.cast
        return self._carry(cast.validators[0], [*cast.validators[1:-1], cast.newcomer], partial(self._patient))

    def _patient(self) -> Amend:
        """Longer deadlines are worse for members, and take the longer notice."""
        usual = self._amend()
        document = decode_policy(usual.document).to_document()
        slots_a_day = document["day_ms"] // self.genesis.slot_ms
        longer = document["rights"]["worse_notice_days"] - document["periods"]["notice_days"]
        policy = read_policy(stretched(document))
        return Amend(usual.base_version, usual.effective_slot + slots_a_day * longer, policy.encode())


def stretched(document: dict[str, Any]) -> dict[str, Any]:
    """A policy with time for people."""
    severities = [
        {**each, "expires_after_days": min(LONGEST_DAYS, _STRETCHED * each["expires_after_days"])}
        for each in document["severity"]
    ]
    periods = {**document["periods"], **dict.fromkeys(_PERIODS, PATIENCE_DAYS), "retention_days": LONGEST_DAYS}
    rights = {**document["rights"], "appeal_days": PATIENCE_DAYS}
    return {**document, "periods": periods, "rights": rights, "severity": severities}
