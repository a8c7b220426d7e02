"""The tale of any policy, told to a network in memory: it comes to its end, and the paper says what the state says."""

from __future__ import annotations

from collections import Counter

import pytest

from chain.content.policy import Policy
from chain.content.policyfile import parse_policy, shipped_policy
from scripts.histories_parts import policies
from scripts.registry_parts.policy_page import new_policy
from scripts.tale.plots import DISPUTES, plots
from tests.support.rehearsal import Tale

SHIPPED = ("municipal", "marketplace", "suppliers", "licences", "maintainers")
# Odd ones: deadlines of a day, records that end while they are disputed, raters who may not rate, means, receipts.
ODD = (0, 5, 13, 16, 25, 27)


def told(policy: Policy) -> Tale:
    tale = Tale(policy)
    tale.assert_everybody_agrees(len(tale.cast.members))
    return tale


@pytest.mark.parametrize("name", SHIPPED)
def test_the_tale_of_a_policy_that_ships_is_told_whole(name: str) -> None:
    tale, expected = told(shipped_policy(name)), plots(shipped_policy(name))
    assert tale.director.skipped == []
    counts = Counter(event.what for event in tale.director.paper.events)
    assert counts["filed"] == len(expected)
    assert counts["objected"] == sum(plot.what in DISPUTES for plot in expected)


def test_the_tale_of_a_new_policy_shows_all_that_can_become_of_a_record() -> None:
    tale = told(parse_policy(new_policy("new")))
    happened = {event.what for event in tale.director.paper.events}
    assert happened >= {
        *("carried", "filed", "objected", "silence", "withdrawn", "corrected", "maintained", "lots were drawn"),
        *("upheld", "appealed", "voted", "struck", "repair asked", "repaired", "repair declined", "stated"),
    }


@pytest.mark.parametrize("variant", ODD)
def test_the_tale_of_an_odd_policy_comes_to_its_end(variant: int) -> None:
    told(policies._small(variant))
