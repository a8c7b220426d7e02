"""Files of a founding: read and written, each that is wrong with its remedy, and the homes that are made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import OperatorError
from chain.content.genesis import found_together
from p2p.local.config import HomeConfig
from p2p.local.founding import (
    check_joined,
    entry_text,
    found,
    home_config,
    join,
    load_entries,
    load_plan,
    named_policy,
    write_plan,
)
from p2p.local.home import begin_home, peer_id_of
from tests.support.founding import PLAN, entries_of, entry_of, plan_with
from tests.support.world import GENESIS_MS, genesis_of, secret

BEFORE_MS = GENESIS_MS - 1
ADDRESS = "/ip4/192.0.2.1/tcp/4001"
FOUR = entries_of(1, 2, 3, 4)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    write_plan(tmp_path / "plan.json", PLAN, BEFORE_MS)
    return tmp_path / "plan.json"


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    (tmp_path / "entry.json").write_text(entry_text(PLAN, FOUR[0]), encoding="utf-8")
    return tmp_path / "entry.json"


def joined(file: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {"organisation": "Office 1", "address": ADDRESS, "weight": 1, "now_ms": BEFORE_MS}
    return join(PLAN, file, secret(1), **settings | changes)


def test_a_plan_and_entries_are_read_as_they_were_written(plan: Path, tmp_path: Path) -> None:
    assert load_plan(plan) == PLAN
    assert joined(tmp_path / "one.json") == FOUR[0]
    (tmp_path / "two.json").write_text(entry_text(PLAN, FOUR[1]), encoding="utf-8")
    files = [tmp_path / "two.json", tmp_path / "one.json"]
    assert set(load_entries(plan, PLAN, files)) == set(FOUR[:2])


def test_the_peer_id_is_added_unless_another_machine_is_named(tmp_path: Path) -> None:
    own, front = peer_id_of(secret(1).seed), peer_id_of(secret(9).seed)
    assert joined(tmp_path / "1", address=f"{ADDRESS}/").address == f"{ADDRESS}/p2p/{own}"
    assert joined(tmp_path / "2", address=f"{ADDRESS}/p2p/{front}").address == f"{ADDRESS}/p2p/{front}"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"address": "192.0.2.1:4001"}, "is not the address of a peer; one looks like /ip4/"),
        ({"address": "/ip4/0.0.0.0/tcp/4001"}, "tells where a node listens, not where it is"),
        ({"organisation": "x" * 65}, "the organisation must be a text of 1 to 64 printable characters"),
        ({"organisation": "\ud800"}, "the organisation must be a text"),
        ({"weight": 2}, "claims the weight 2, and the plan allows 1 to 1"),
        ({"now_ms": GENESIS_MS}, "begins at 1970-01-01T00:16:40Z, which has passed; make one that begins later"),
    ],
)
def test_an_entry_that_cannot_be_made_is_not_written(changes: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=sentence):
        joined(tmp_path / "entry.json", **changes)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_something_else(plan: Path, entry: Path) -> None:
    joined(entry)
    with pytest.raises(OperatorError, match=r"entry\.json exists and holds something else; remove it, or name another"):
        joined(entry, organisation="Office 2")
    with pytest.raises(OperatorError, match=r"plan\.json exists and holds something else"):
        write_plan(plan, plan_with(name="town"), BEFORE_MS)
    with pytest.raises(OperatorError, match=r"cannot be written \(.*\); name another file"):
        write_plan(plan / "plan.json", PLAN, BEFORE_MS)


def test_a_plan_that_should_have_begun_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="which has passed"):
        write_plan(tmp_path / "plan.json", PLAN, GENESIS_MS)


def cut(text: str) -> str:
    return text[: len(text) // 2]


DAMAGES: list[Callable[[str], str]] = [
    cut,
    lambda text: "",
    lambda text: "null",
    lambda text: "[]",
    lambda text: "[" * 100_000,
    lambda text: "{}",
    lambda text: text.replace('"version": 1', '"version": 2'),
    lambda text: text.replace("goodfaith", "other"),
    lambda text: genesis_of(4).to_json(),
    lambda text: text + " " * 2_000_000,
    lambda text: text.replace('"weight": 1', '"weight": "1"').replace('"slot_ms": 1000', '"slot_ms": "1"'),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_named_with_its_remedy(
    damage: Callable[[str], str], plan: Path, entry: Path
) -> None:
    for file, load in ((plan, load_plan), (entry, lambda file: load_entries(plan, PLAN, [file]))):
        file.write_text(damage(file.read_text("utf-8")), encoding="utf-8")
        with pytest.raises(
            OperatorError, match=r"is damaged, or not the file of the (plan|entry) \(.*\); have it sent again"
        ) as told:
            load(file)
        assert str(told.value).startswith(str(file))


def test_a_missing_file_is_named(plan: Path, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"none cannot be read \(.*\); name the file of the plan"):
        load_plan(tmp_path / "none")
    with pytest.raises(OperatorError, match=r"none cannot be read \(.*\); name the file of the entry"):
        load_entries(plan, PLAN, [tmp_path / "none"])


def test_a_plan_whose_policy_is_none_says_where(plan: Path) -> None:
    document = json.loads(plan.read_text("utf-8"))
    document["policy"]["version"] = 0
    plan.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(OperatorError, match=r"plan\.json: policy: "):
        load_plan(plan)


def test_an_entry_for_another_plan_is_named(plan: Path, entry: Path) -> None:
    with pytest.raises(OperatorError, match=r"made for another plan than .*plan\.json; have Office 1 join this one"):
        load_entries(plan, plan_with(slot_ms=999), [entry])


def test_an_entry_whose_consent_is_false_is_named(plan: Path, entry: Path) -> None:
    entry.write_text(entry.read_text("utf-8").replace("192.0.2.1", "192.0.2.2"), encoding="utf-8")
    with pytest.raises(OperatorError, match="entry of Office 1 does not bear the signature of its key under this plan"):
        load_entries(plan, PLAN, [entry])


def test_a_network_is_founded_before_it_begins() -> None:
    assert found(PLAN, FOUR, BEFORE_MS) == found_together(PLAN, FOUR)
    with pytest.raises(OperatorError, match="which has passed"):
        found(PLAN, FOUR, GENESIS_MS)
    with pytest.raises(OperatorError, match="takes 4 entries, and there are 3; collect more"):
        found(PLAN, FOUR[:3], BEFORE_MS)


def test_an_address_that_nobody_could_dial_founds_nothing() -> None:
    with pytest.raises(OperatorError, match="'/udp/1/p2p/x' is not the address of a peer"):
        found(PLAN, [*FOUR[:3], entry_of(4, address="/udp/1/p2p/x")], BEFORE_MS)


# ---------------------------------------------------------------------------------------------------------- homes


def test_a_founder_finds_the_others_and_listens_where_it_said() -> None:
    moved = entry_of(1, address=f"/dns4/one.example/tcp/4007/p2p/{peer_id_of(secret(1).seed)}")
    config = home_config(found_together(PLAN, [moved, *FOUR[1:]]), secret(1), ["/dns4/x/tcp/1/p2p/x", FOUR[1].address])
    assert config.listen == ["/ip4/0.0.0.0/tcp/4007"]
    assert config.peers[:2] == ["/dns4/x/tcp/1/p2p/x", FOUR[1].address]
    assert set(config.peers[2:]) == {FOUR[2].address, FOUR[3].address}


@pytest.mark.parametrize(
    ("where", "listen"),
    [
        ("/ip6/2001:db8::1/tcp/4007", "/ip6/::/tcp/4007"),
        ("/dns6/one.example/tcp/4007", "/ip6/::/tcp/4007"),
        ("/dns4/one.example/tcp/4007", "/ip4/0.0.0.0/tcp/4007"),
        ("/dns/one.example/tcp/4007", "/ip4/0.0.0.0/tcp/4007"),
        ("/dnsaddr/one.example", *HomeConfig().listen),
    ],
)
def test_a_founder_listens_on_the_kind_of_address_that_others_dial(where: str, listen: str) -> None:
    named = entry_of(1, address=f"{where}/p2p/{peer_id_of(secret(1).seed)}")
    assert home_config(found_together(PLAN, [named, *FOUR[1:]]), secret(1), ()).listen == [listen]


def test_a_founder_behind_a_machine_of_its_own_finds_that_too() -> None:
    behind = entry_of(1, address=f"{ADDRESS}/p2p/{peer_id_of(secret(9).seed)}")
    config = home_config(found_together(PLAN, [behind, *FOUR[1:]]), secret(1), ())
    assert config.listen == HomeConfig().listen
    assert behind.address in config.peers


def test_an_observer_finds_all_founders() -> None:
    config = home_config(found_together(PLAN, FOUR), secret(9), ())
    assert config.listen == HomeConfig().listen
    assert set(config.peers) == {entry.address for entry in FOUR}


def test_a_network_of_one_machine_needs_nothing_of_this() -> None:
    assert home_config(genesis_of(4), secret(1), ["a"]) == HomeConfig(peers=["a"])


def test_a_key_that_joined_another_network_is_not_used_for_this_one(tmp_path: Path) -> None:
    genesis = found_together(PLAN, FOUR)
    check_joined(tmp_path / "none", genesis)
    begin_home(tmp_path / "one", secret(1).seed, bytes(32))
    check_joined(tmp_path / "one", genesis)
    begin_home(tmp_path / "nine", secret(9).seed, bytes(32))
    with pytest.raises(
        OperatorError, match="is that of no validator in this genesis; have it made anew with the entry"
    ):
        check_joined(tmp_path / "nine", genesis)


def test_a_policy_is_a_file_or_one_that_ships(tmp_path: Path) -> None:
    source = Path(__file__).parents[4] / "chain" / "policies" / "municipal.toml"
    copy = tmp_path / "own.toml"
    copy.write_bytes(source.read_bytes())
    assert named_policy(str(copy)) == named_policy("municipal")
    with pytest.raises(OperatorError, match="no policy is called 'own'; choose from licences"):
        named_policy("own")
    for absent in ("absent.toml", str(tmp_path / "absent")):
        with pytest.raises(OperatorError, match=f"there is no file {absent}; name that of a policy, or"):
            named_policy(absent)
