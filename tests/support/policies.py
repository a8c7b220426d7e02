"""A policy in which everything is said, to be changed; and two that ship."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from chain.content.policyfile import parse_policy, shipped_policy

TOML = """
language = 2
name = "test"
version = 3
day_ms = 1000
enrolment = "registrar"
[score]
base = 1000
ratings_floor = -50
ratings_cap = 40
[periods]
answer_days = 1
ruling_days = 2
repair_answer_days = 3
motion_days = 4
notice_days = 5
retention_days = 100
bodies_days = 40
[authorities]
overturned_permille = 250
overturned_minimum = 8
[rights]
lookback_days = 0
hearing_days = 6
appeal_days = 7
disputed_days = 8
window_days = 9
worse_notice_days = 10
[[tier]]
name = "high"
from = 1010
[[tier]]
name = "middle"
from = 950
[[tier]]
name = "low"
from = 900
[[severity]]
name = "light"
repair_after_days = 0
expires_after_days = 10
[[severity]]
name = "grave"
repair_after_days = 20
expires_after_days = 100
[[category]]
code = 4
name = "four"
min = -30
max = -10
floor = -60
ceiling = 0
severities = ["light", "grave"]
reason = true
tier_cap = "middle"
closed = false
interim = "stands"
[[category]]
code = 3
name = "three"
min = 1
max = 5
[[rating]]
code = 9
name = "nine"
min = -5
max = 5
[[rating]]
code = 2
name = "two"
min = 1
max = 1
"""
TEST = parse_policy(TOML)
DOCUMENT = TEST.to_document()
MARKET = shipped_policy("marketplace")
CITY = shipped_policy("municipal")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The test policy with one field replaced; ``path`` is like ``tier.0.from``."""
    document: Any = deepcopy(DOCUMENT)
    at = document
    *parents, last = path.split(".")
    for step in parents:
        at = at[int(step) if step.isdigit() else step]
    at[last] = value
    checked: dict[str, Any] = document
    return checked
