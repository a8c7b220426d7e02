"""What ``inspect_chain.py`` says about authorities, motions, validators and policies, and what ``verify`` finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chain.base.keys import did_from_key
from chain.content.policyfile import read_policy
from chain.content.proposals import AddValidator, JailValidator
from scripts.inspect_parts.institutions import suspension
from tests.support.asking import answer, ask, column, mistake, problems
from tests.support.homes import tamper
from tests.support.registered import City, Told, next_policy, told_city
from tests.support.world import secret


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_city(tmp_path_factory.mktemp("city") / "home")


@pytest.fixture
def damaged(told: Told, tmp_path: Path) -> Path:
    """A copy of the home, there to be spoilt."""
    return Path(shutil.copytree(told.home, tmp_path / "home"))


def toml(document: dict[str, Any]) -> str:
    """A policy's document as its file."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in document.items() if not isinstance(value, dict | list)]
    for name, value in document.items():
        tables = [(f"[{name}]", value)] if isinstance(value, dict) else []
        tables += [(f"[[{name}]]", row) for row in value] if isinstance(value, list) else []
        for title, table in tables:
            lines += [title, *(f"{key} = {json.dumps(item)}" for key, item in table.items())]
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------- institutions


def test_authorities(told: Told) -> None:
    document = answer(told.home, "authorities")
    found = {row["authority"]: row for row in document["authorities"]}
    office, judge = found[told.did("office")], found[told.did("judge")]
    assert (office["filed"], office["decided"], office["overturned"], office["overturned_permille"]) == (8, 3, 3, 1000)
    assert (office["rights"], office["status"], office["in_term"]) == ([], "active", True)
    assert "heroic act" in office["categories"]
    assert (judge["rights"], judge["categories"], judge["until_slot"]) == (["arbiter"], [], 1_000)
    assert judge["rulings"] == [{"issuer": told.did("office"), "upheld": 0, "struck": 1, "silent": 0}]
    assert (document["limit_permille"], document["limit_minimum"]) == (400, 4)
    shown = ask(told.home, "authorities").stdout
    assert "suspended above 400 ‰" in shown
    assert "no end" in shown
    assert suspension({"limit_permille": 1_000, "limit_minimum": 1}) == "none is suspended, whatever is overturned"


def test_motions_say_what_they_propose_and_what_they_need(told: Told) -> None:
    newest, amend, judge, office = answer(told.home, "motions")["motions"]
    assert (newest["status"], newest["weight"], newest["weight_needed"]) == ("open", 1, 2)
    assert newest["proposes"] == f"add validator {did_from_key(secret(99).public)} with weight 1"
    assert newest["left"] == f"{newest['expires_slot'] - told.city.height} s"
    assert amend["proposes"].startswith("replace policy 1 by policy 2 from slot ")
    assert amend["policy"]["score"]["base"] == 1010
    assert (amend["status"], len(amend["approvals"])) == ("carried", 3)
    assert "to be arbiter, until slot 1000" in judge["proposes"]
    assert f"accredit {told.did('office')} to file contract or loan default" in office["proposes"]
    assert [row["number"] for row in answer(told.home, "motions", "--open")["motions"]] == [3]
    assert [row["number"] for row in answer(told.home, "motions", "--limit", "2")["motions"]] == [3, 2]


def test_validators_that_come_and_that_are_jailed(tmp_path: Path) -> None:
    city = City()
    jailed, added = city.validators[3].key, secret(99).public
    city.carried(JailValidator(jailed))
    for _ in range(20):
        city.block()
    city.carried(AddValidator(added, 1))
    while not city.is_changing:
        city.block()
    home = city.write(tmp_path / "home")
    document = answer(home, "validators")
    status = {row["validator"]: row["status"] for row in document["validators"]}
    assert status == {**{city.did(actor): "active" for actor in city.validators[:3]}, did_from_key(jailed): "jailed"}
    assert document["barred"] == [did_from_key(jailed)]
    assert did_from_key(added) in document["under_way"][0]
    assert document["decided_height"] <= document["state_height"]
    phase = document["phase"]
    assert (phase["name"], phase["since"]) == ("waited for", document["decided_height"])
    silent = [row["validator"] for row in phase["following"] if row["next_weight"] and not row["spoke"]]
    assert silent == [did_from_key(added)]
    assert f"Next validators: waited for since height {phase['since']}" in ask(home, "validators").stdout


def test_a_block_is_shown_with_what_it_carries_for_the_votes(tmp_path: Path) -> None:
    city = City()
    jailed = city.validators[3]
    city.carried(JailValidator(jailed.key))
    home = city.write(tmp_path / "home")
    decided = answer(home, "block", "2")["ballot"]
    assert decided["decision"]["barred"] == [city.did(jailed)]
    assert (decided["attestations"], decided["decision"]["following"]) == ([], [])
    assert "makes no blocks" in ask(home, "block", "2").stdout


# --------------------------------------------------------------------------------------------------- policies


def test_the_policy_in_force_and_the_announced_one(told: Told) -> None:
    document = answer(told.home, "policy")
    assert document["policy"] == told.city.genesis.policy.to_document()
    assert document["announced"]["policy"] == next_policy(told.city).to_document()
    shown = ask(told.home, "policy").stdout
    for category in told.city.genesis.policy.categories.values():
        assert category.name in shown
    assert "Announced: policy 2 from slot" in shown
    assert [line.split() for line in shown.splitlines()][-1] == ["score.base", "1,000", "1,010"]


def test_a_dry_run_of_an_allowed_policy(told: Told, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(toml(next_policy(told.city).to_document()))
    found = answer(told.home, "policy", "--dry-run", str(file))
    assert (found["allowed"], found["fault"]) == (True, None)
    assert found["scores"] == {"up": 5, "down": 0, "unchanged": 0}
    assert found["tiers"] == {"up": 0, "down": 0, "unchanged": 5}
    assert {row["new_score"] - row["score"] for row in found["most_affected"]} == {10}
    by_motion = answer(told.home, "policy", "--motion", "2")
    assert {**by_motion, "policy": None} == {**found, "policy": None}
    assert "proposes no policy" in mistake(told.home, "policy", "--motion", "0")
    assert "no motion 9" in mistake(told.home, "policy", "--motion", "9")


def test_a_dry_run_says_why_a_policy_is_not_allowed_and_what_it_would_do(told: Told, tmp_path: Path) -> None:
    document = next_policy(told.city).to_document()
    document["score"]["base"] = 950
    file = tmp_path / "policy.toml"
    file.write_text(toml(document))
    found = answer(told.home, "policy", "--dry-run", str(file), exit_code=1)
    assert (found["allowed"], found["fault"]) == (False, "base must not get lower than 1000")
    assert found["scores"] == {"up": 0, "down": 5, "unchanged": 0}
    assert found["tiers"] == {"up": 0, "down": 4, "unchanged": 1}
    assert {(row["tier"], row["new_tier"]): row["members"] for row in found["between_tiers"]} == {
        ("A", "B"): 3,
        ("AA", "A"): 1,
    }


def test_a_dry_run_counts_the_records_again_where_caps_of_categories_change(told: Told, tmp_path: Path) -> None:
    document = next_policy(told.city).to_document()
    document["score"]["base"] = 1000
    for row in document["category"]:
        if row["name"] == "heroic act":
            row["ceiling"] = 12
    document["category"] = [row for row in document["category"] if row["name"] != "traffic ticket"]
    file = tmp_path / "policy.toml"
    file.write_text(toml(read_policy(document).to_document()))
    found = answer(told.home, "policy", "--dry-run", str(file), exit_code=1)
    assert "floor and ceiling" in found["fault"]
    # Of ann's heroism 12 points are left, and her ticket counts for nothing.
    assert column(found["most_affected"], "member", "score", "new_score") == [(told.did("ann"), 1033, 1033 - 18 + 5)]


def test_a_policy_that_cannot_be_read_is_one_sentence(told: Told, tmp_path: Path) -> None:
    assert "cannot be read" in mistake(told.home, "policy", "--dry-run", str(tmp_path / "nothing.toml"))
    (tmp_path / "bad.toml").write_text("name = 3")
    assert "policy: line 1" in mistake(told.home, "policy", "--dry-run", str(tmp_path / "bad.toml"))


# ----------------------------------------------------------------------------------------------------- verify


def test_verify_rechecks_a_register_with_its_standings(told: Told) -> None:
    document = answer(told.home, "verify")
    assert (document["ok"], document["standings"], document["blocks"]) == (True, 5, told.city.height)


def test_verify_finds_wrong_missing_and_invented_standings(told: Told, damaged: Path) -> None:
    bob, eve, nobody = told.city.bob.key, told.city.eve.key, secret(77).public
    tamper(damaged, "UPDATE standings SET score = 1234, suspended = 3 WHERE member = ?", bob)
    tamper(damaged, "DELETE FROM standings WHERE member = ?", eve)
    tamper(damaged, "INSERT INTO standings VALUES (?, 5, 0, 0)", nobody)
    assert f"rank {did_from_key(nobody)}, which is no member" in mistake(damaged, "top")
    height = answer(damaged, "tiers")["as_of_height"]
    assert set(problems(damaged)) == {
        (
            height,
            f"the stored standings give {did_from_key(bob)} score 1234, level 3, 3 suspended "
            "instead of score 999, level 3, 0 suspended",
        ),
        (height, f"the stored standings lack {did_from_key(eve)}"),
        (height, f"the stored standings rank {did_from_key(nobody)}, who is no member"),
    }
