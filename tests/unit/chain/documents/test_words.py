"""Proposals, changes, policies, moments and spans of time in words."""

from __future__ import annotations

import pytest

from chain.base.keys import did_from_key
from chain.content.proposals import (
    ARBITER,
    REGISTRAR,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    Suspend,
)
from chain.documents.words import (
    change_in_words,
    duration,
    fading_in_words,
    moment_of,
    policy_changes,
    proposal_in_words,
    time_of,
    waits_for,
)
from chain.register.entries import (
    DRAWN,
    MAINTAINED,
    OBJECTED,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    REPAIR_REFERRED,
    STANDING,
    Record,
)
from chain.register.validators import ADD, JAIL, RELEASE, REMOVE, REPLACE, Change
from tests.support.registered import HEROISM, TICKET, City, city_policy, next_policy
from tests.support.world import genesis_of, secret

ONE, TWO = secret(1).public, secret(2).public
DID, OTHER = did_from_key(ONE), did_from_key(TWO)
PROPOSALS: dict[str, Proposal] = {
    f"accredit {DID} to file traffic ticket, heroic act, from slot 3 until slot 9": Accredit(
        ONE, 0, (TICKET, HEROISM), 3, 9
    ),
    f"accredit {DID} to be registrar and be arbiter, without an end": Accredit(
        ONE, REGISTRAR | ARBITER, (), 0, 2**64 - 1
    ),
    f"suspend the authority {DID}": Suspend(ONE),
    f"revoke the authority {DID}": Revoke(ONE),
    f"restore the authority {DID}": Restore(ONE),
    "replace policy 1 by policy 2 from slot 70": Amend(1, 70, next_policy(City()).encode()),
    f"add validator {DID} with weight 3": AddValidator(ONE, 3),
    f"remove validator {DID}": RemoveValidator(ONE),
    f"jail validator {DID}": JailValidator(ONE),
    f"release validator {DID}": ReleaseValidator(ONE),
    f"hand the seat of validator {DID} to {OTHER}": ReplaceValidator(ONE, TWO),
}


@pytest.mark.parametrize("words", PROPOSALS)
def test_a_proposal_says_what_it_would_do(words: str) -> None:
    assert proposal_in_words(city_policy(), PROPOSALS[words]) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        *((-5, "none"), (0, "none"), (1, "1 s"), (1_001, "2 s"), (59_000, "59 s"), (60_000, "1 min")),
        *((61_000, "1 min 1 s"), (3_599_000, "59 min 59 s"), (3_600_000, "1 h"), (86_399_000, "23 h 59 min")),
        *((86_400_000, "1 d"), (20 * 86_400_000 - 1_000, "19 d 23 h")),
        *((3_660_000, "1 h 1 min"), (90_000_000, "1 d 1 h"), (93_599_000, "1 d 1 h")),
    ],
)
def test_spans_of_time(ms: int, words: str) -> None:
    assert duration(ms) == words


@pytest.mark.parametrize(
    ("slot", "time", "moment"),
    [
        (61, "1970-01-01T00:17:41.000+00:00", "1970-01-01 00:17 UTC"),
        (-1_000, "1970-01-01T00:00:00.000+00:00", "1970-01-01 00:00 UTC"),
        (2**60, None, "beyond the calendar"),
        (-(2**48), None, "beyond the calendar"),
    ],
)
def test_when_a_slot_begins(slot: int, time: str | None, moment: str) -> None:
    genesis = genesis_of(1)
    assert (genesis.genesis_time_ms, genesis.slot_ms) == (1_000_000, 1_000)
    assert (time_of(genesis, slot), moment_of(genesis, slot)) == (time, moment)


@pytest.mark.parametrize(
    ("status", "deadline_slot", "words"),
    [
        (OBJECTED, 70, "the issuer's answer"),
        (MAINTAINED, 70, "the end of the hearing"),
        (DRAWN, 70, "an arbiter's ruling"),
        (REPAIR_REFERRED, 70, "the end of the hearing on the repair"),
        (REPAIR_DRAWN, 70, "an arbiter's ruling on the repair"),
        (REPAIR_ASKED, 70, "the issuer's answer to the repair"),
        (STANDING, 0, None),
    ],
)
def test_whose_turn_it_is(status: int, deadline_slot: int, words: str | None) -> None:
    record = Record(ONE, 1, -20, 1, bytes(32), b"", 0, 5, 1, 900, 30, -1, status, 0, deadline_slot, b"", b"", b"")
    assert waits_for(record) == words


@pytest.mark.parametrize(
    ("points", "fades_slot", "halvings", "words"),
    [
        (-20, 0, 0, None),
        (-20, 70, 0, "on 1970-01-01 00:17 UTC it halves to -10"),
        (-9, 70, 1, "-9 was recorded, and halved once since the conduct; on 1970-01-01 00:17 UTC it halves to -2"),
        (9, 70, 3, "+9 was recorded, and halved 3 times since the conduct; on 1970-01-01 00:17 UTC it halves to +0"),
        (-20, 70, 5, "-20 was recorded, and halved 5 times since the conduct; nothing is left of it"),
        (-20, 901, 2, "-20 was recorded, and halved twice since the conduct; it ends before it halves again"),
        (-20, 901, 0, None),
    ],
)
def test_why_a_record_counts_for_less(points: int, fades_slot: int, halvings: int, words: str | None) -> None:
    record = Record(ONE, 1, points, 1, bytes(32), b"", 0, 5, 1, 900, 30, -1, STANDING, 0, 0, b"", b"", b"")
    record = record._replace(fades_slot=fades_slot, halvings=halvings)
    assert fading_in_words(genesis_of(1), record, record.halves_slot or None) == words


def test_changes_of_validators() -> None:
    words = [change_in_words(Change(kind, ONE, TWO, 3)) for kind in (ADD, REMOVE, JAIL, RELEASE, REPLACE)]
    assert words == [
        f"add {DID} with weight 3",
        f"remove {DID}",
        f"jail {DID}",
        f"release {DID}",
        f"hand the seat of {DID} to {OTHER}",
    ]


def test_every_rule_in_which_policies_differ_is_named() -> None:
    old = city_policy()
    document = old.to_document()
    tier = [{"name": "AAAA", "from": 2_000}, *document["tier"]]
    category = [row if row["code"] != TICKET else row | {"closed": True} for row in document["category"]]
    periods = document["periods"] | {"answer_days": 25}
    new = city_policy(tier=tier, category=category, periods=periods)
    assert set(policy_changes(old, new)) == {
        ("periods.answer_days", 20, 25),
        ("tier AAAA.name", None, "AAAA"),
        ("tier AAAA.from", None, 2_000),
        ("tier AAAA.cap_records", None, 1),
        (f"category {TICKET}.closed", False, True),
    }
    assert policy_changes(old, old) == []
