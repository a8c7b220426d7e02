"""The policy of simulated chains: every kind of rule, with a day as long as a slot, so that deadlines pass."""

from __future__ import annotations

from functools import cache

from chain.content.policy import Policy
from chain.content.policyfile import read_policy

RATING = 1


@cache
def simulated_policy(slot_ms: int) -> Policy:
    """The policy of version 1 on a chain with such slots."""
    return read_policy(
        {
            "language": 2,
            "name": "simulation",
            "version": 1,
            "day_ms": slot_ms,
            "enrolment": "open",
            "score": {"base": 100, "ratings_floor": -40, "ratings_cap": 40},
            "periods": {
                "answer_days": 12,
                "ruling_days": 20,
                "repair_answer_days": 12,
                "motion_days": 40,
                "notice_days": 10,
                "retention_days": 120,
            },
            "authorities": {"overturned_permille": 400, "overturned_minimum": 3},
            "rights": {
                "lookback_days": 40,
                "hearing_days": 3,
                "appeal_days": 12,
                "disputed_days": 8,
                "window_days": 100,
                "worse_notice_days": 10,
            },
            "identity": {
                "recovery_days": 10,
                "registrar": "recovers",
                "annulment_days": 8,
                "leave_days": 12,
                "return_days": 60,
            },
            "raters": {"rating_days": 60, "answer_days": 10},
            "tier": [{"name": "high", "from": 120}, {"name": "middle", "from": 60}, {"name": "low", "from": 0}],
            "severity": [
                {"name": "minor", "repair_after_days": 0, "expires_after_days": 40},
                {"name": "serious", "repair_after_days": 10, "expires_after_days": 80},
            ],
            "category": [
                {"code": 1, "name": "deed", "min": 1, "max": 10, "ceiling": 15},
                {"code": 2, "name": "offence", "min": -10, "max": -1, "severities": ["minor", "serious"]},
                {
                    "code": 3,
                    "name": "fraud",
                    "min": -30,
                    "max": -5,
                    "floor": -45,
                    "severities": ["serious"],
                    "reason": True,
                    "tier_cap": "low",
                    "interim": "stands",
                },
            ],
            "rating": [{"code": RATING, "name": "trade", "min": -10, "max": 10}],
        }
    )
