"""Reports that are anchored: who may, how often, and that nothing follows from it."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.content.actions import AUDIT, Anchor
from chain.content.proposals import Revoke
from chain.register.entries import Account
from chain.register.statekeys import account_key
from tests.support.register import DIGEST, MUNICIPAL, Person, Register, altered

REPORT = Anchor(AUDIT, DIGEST, DIGEST, b"", DIGEST)


@pytest.fixture
def town() -> Register:
    return Register(altered(MUNICIPAL, quotas={"member": 2, "fresh": 1, "fresh_days": 1, "office": 3}))


def anchored(town: Register, who: Person, times: int) -> list[Reason | None]:
    return [town.refusal(who, REPORT) for _ in range(times)]


def test_nothing_follows_from_an_anchor_but_that_it_is_counted(town: Register) -> None:
    ann = town.member()
    town.block()
    town.do(ann, REPORT)
    assert town.draft.changes.keys() == {account_key(ann.key)}
    assert town.draft.account(ann.key) == Account(2, b"", b"", town.draft.slot, 1)


def test_members_offices_and_who_makes_blocks_anchor_within_their_quotas(town: Register) -> None:
    ann, office, validator = town.member(), town.office(13), town.validators[0]
    full = Reason.OVER_QUOTA
    town.block()
    assert anchored(town, ann, 3) == [None, None, full]
    assert anchored(town, office, 4) == anchored(town, validator, 4) == [None, None, None, full]


def test_strangers_and_who_was_revoked_anchor_nothing(town: Register) -> None:
    office = town.office(13)
    assert town.refusal(town.person(), REPORT) is Reason.NOT_ENROLLED
    town.carry(Revoke(office.key))
    assert town.refusal(office, REPORT) is Reason.NOT_ENROLLED
