"""What a policy gives to tell, whatever it says."""

from __future__ import annotations

import pytest

from chain.content.amendments import amendment_faults
from chain.content.policy import Policy
from chain.content.policyfile import parse_policy, read_policy, shipped_policy
from scripts.registry_parts.policy_page import new_policy
from scripts.tale.company import RATERS, Troupe
from scripts.tale.plots import DECLINED, MAX_CATEGORIES, REPAIRED, SHORTEST_SLOTS, plots, rehearsed
from tests.support.world import secret

SHIPPED = [shipped_policy(name) for name in ("municipal", "marketplace", "suppliers", "licences", "maintainers")]
NEW = parse_policy(new_policy("new"))
EVERY = [*SHIPPED, NEW]


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: policy.name)
def test_a_rehearsal_changes_only_how_long_a_day_is_and_how_far_back_it_looks(policy: Policy) -> None:
    short = rehearsed(policy, 500)
    document = {**policy.to_document(), "day_ms": short.day_ms}
    assert short == read_policy({**document, "rights": {**document["rights"], "lookback_days": policy.retention_days}})
    deadlines = (policy.answer_days, policy.ruling_days, policy.repair_answer_days, policy.motion_days)
    assert min(short.slots(days, 500) for days in deadlines) >= SHORTEST_SLOTS


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: policy.name)
def test_every_plot_can_be_filed(policy: Policy) -> None:
    found = plots(policy)
    codes = {code for code, category in policy.categories.items() if not category.is_closed}
    assert {plot.category.code for plot in found} == codes
    for plot in found:
        assert plot.category.low <= plot.points <= plot.category.high
        assert plot.severity in (plot.category.severities or (0,))
        if plot.what in (REPAIRED, DECLINED):
            assert plot.age_days == policy.severities[plot.severity - 1].repair_after_days


def test_a_catalogue_that_is_closed_or_long_is_told_as_far_as_it_goes() -> None:
    document = NEW.to_document()
    closed = read_policy({**document, "category": [{**row, "closed": True} for row in document["category"]]})
    assert plots(closed) == []
    rows = [{"code": code, "name": f"c{code}", "min": -1, "max": -1} for code in range(200)]
    assert len({plot.category.code for plot in plots(read_policy({**document, "category": rows}))}) == MAX_CATEGORIES


def test_a_life_too_short_to_be_answered_is_not_told() -> None:
    document = NEW.to_document()
    document["severity"] = [{**row, "repair_after_days": 1, "expires_after_days": 30} for row in document["severity"]]
    assert {plot.category.code for plot in plots(read_policy(document))} == {101}


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: policy.name)
def test_as_many_take_part_as_the_policy_needs(policy: Policy) -> None:
    troupe = Troupe(b"seed", [secret(1), secret(2), secret(3)], policy)
    assert len(troupe.members) == len(plots(policy)) + RATERS * bool(policy.ratings)
    names = [institution.player.name for institution in troupe.institutions]
    assert ("the registrar" in names, "the office" in names) == (policy.enrolment_by_registrar, bool(policy.categories))
    assert {troupe.player(member.key) for member in troupe.members} == set(troupe.members)


def test_no_policy_that_ships_follows_another() -> None:
    assert all(amendment_faults(one, other) for one in SHIPPED for other in SHIPPED)
