"""What ``inspect_chain.py`` says about members and records."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chain.base.keys import did_from_key
from chain.consensus.headers import Header, sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Evidence
from chain.disk import enquiries
from chain.disk.schema import PUT_ENTRY, entry_row, seal
from chain.documents.chronicle import transaction_document
from chain.register.entries import Account, Member
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import account_key, member_key
from scripts import console
from scripts.chain_view import Finding
from scripts.console import short_did
from scripts.inspect_parts import institutions, people
from scripts.inspect_parts.question import newer
from scripts.tables import lay_out
from tests.support.asking import answer, ask, column, mistake
from tests.support.homes import look_up, tamper
from tests.support.registered import DIGEST, Told, told_city
from tests.support.running import DEADLINE_S
from tests.support.world import Actor, secret


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_city(tmp_path_factory.mktemp("city") / "home")


@pytest.fixture
def damaged(told: Told, tmp_path: Path) -> Path:
    """A copy of the home, there to be spoilt."""
    return Path(shutil.copytree(told.home, tmp_path / "home"))


# ------------------------------------------------------------------------------------------------ one member


def test_an_explanation_traces_every_point_and_adds_up_to_the_score(told: Told) -> None:
    document = answer(told.home, "member", told.did("ann"), "--explain")
    lines = document["lines"]
    assert [(line["kind"], line["points"]) for line in lines] == [
        *(("base", 1000), ("record", -5), ("record", 0), ("record", 30)),
        *(("rating", points) for points in sorted((6, 7, -2), key=lambda points: by_rater(told, points))),
        ("ratings cap", -3),
    ]
    assert sum(line["points"] for line in lines) == document["sum"] == document["score"] == 1033
    for line in lines:
        if line["kind"] in ("record", "rating"):
            block = told.city.blocks[line["height"] - 1]
            assert line["block"] == block.id.hex()
    ticket, default, heroism = (line for line in lines if line["kind"] == "record")
    assert column([ticket, default], "number", "issuer", "category", "policy", "status") == [
        (0, told.did("office"), "traffic ticket", 1, "standing"),
        (1, told.did("office"), "contract or loan default", 1, "objected"),
    ]
    assert (default["points_recorded"], default["grounds"], default["waits_for"]) == (
        *(-20, DIGEST.hex()),
        "the issuer's answer",
    )
    assert heroism["deadline_slot"] is None
    assert document["ratings_left_out"] == 0
    shown = ask(told.home, "member", told.did("ann"), "--explain").stdout
    assert "objected, 5 s left (-20 suspended)" in shown
    assert shown.splitlines()[-1].split()[:2] == ["score", "1,033"]


def by_rater(told: Told, points: int) -> bytes:
    """Explanations order ratings by rater."""
    rater: Actor = {6: told.city.bob, 7: told.city.cleo, -2: told.city.dan}[points]
    return rater.key


def test_rank_and_percentile_count_equal_scores_alike(told: Told) -> None:
    standings = {name: answer(told.home, "member", told.did(name)) for name in ("ann", "bob", "cleo", "dan", "eve")}
    found = {name: (row["score"], row["rank"], row["of"], row["percentile"]) for name, row in standings.items()}
    assert found == {
        "ann": (1033, 1, 5, 100),
        "cleo": (1004, 2, 5, 80),
        "dan": (1000, 3, 5, 60),
        "eve": (1000, 3, 5, 60),
        "bob": (999, 5, 5, 20),
    }
    assert [row["rank"] for row in answer(told.home, "top")["members"]] == [1, 2, 3, 3, 5]


def test_a_member_is_found_by_any_of_its_keys_and_shown_with_the_current_one(told: Told) -> None:
    by_new = answer(told.home, "member", told.did("ann"))
    first_key = by_new["first_key"]
    assert by_new["member"] == did_from_key(secret(90).public)
    assert first_key == did_from_key(secret(60).public)
    assert answer(told.home, "member", first_key) == by_new
    assert answer(told.home, "records", "--member", first_key)["records"][0]["member"] == by_new["member"]
    given = answer(told.home, "member", first_key, "--given")["given"]
    assert column(given, "subject", "points") == [(told.did("cleo"), 4)]
    assert "first_key" not in answer(told.home, "member", told.did("bob"))


def test_a_did_can_be_given_as_tables_shorten_it(told: Told) -> None:
    for name in ("ann", "bob", "cleo", "dan", "eve"):
        did = told.did(name)
        whole = answer(told.home, "member", did)
        for beginning in (short_did(did), did[:20], did[8:30], did[:-1]):
            assert answer(told.home, "member", beginning) == whole
    assert "no key in the register begins" in mistake(told.home, "member", "z6MkzzzzzzzZ")
    assert "begins no did" in mistake(told.home, "member", "z6Mk0000000000")
    assert "is not a key" in mistake(told.home, "member", "z6Mk")


def test_the_beginning_of_several_dids_names_none(told: Told, damaged: Path) -> None:
    key = told.city.eve.key
    twin = account_key(key[:-1] + bytes([key[-1] ^ 1]))
    tamper(damaged, PUT_ENTRY, *entry_row(twin, encode_entry(Account(0, b"", b""))))
    assert "several keys begin" in mistake(damaged, "member", short_did(told.did("eve")))


def test_a_tier_cap_is_seen(told: Told) -> None:
    dan = answer(told.home, "member", told.did("dan"))
    assert (dan["score"], dan["tier"], dan["tier_without_cap"]) == (1000, "C", "A")
    assert "tier_without_cap" not in answer(told.home, "member", told.did("eve"))


def test_an_explanation_says_which_record_caps_the_tier_and_what_would_lift_that(told: Told) -> None:
    (capped,) = answer(told.home, "member", told.did("dan"), "--explain")["capped_by"]
    assert (capped["category"], capped["tier_at_most"]) == ("drunk driving", "C")
    assert capped["lifted_by"].startswith("it ends by itself on ")
    assert "repair, from " in capped["lifted_by"]
    assert "What keeps the tier below A" in ask(told.home, "member", told.did("dan"), "--explain").stdout
    assert "capped_by" not in answer(told.home, "member", told.did("eve"), "--explain")


def test_an_explanation_that_does_not_add_up_is_damage(told: Told, damaged: Path) -> None:
    key = member_key(told.city.bob.key)
    stored = bytes(look_up(damaged, "SELECT value FROM state WHERE key = ?", key))
    entry = decode_entry(key, stored[:-4])
    assert isinstance(entry, Member)
    forged = encode_entry(entry._replace(record_points=entry.record_points + 7))
    tamper(damaged, "UPDATE state SET value = ? WHERE key = ?", seal(key, forged), key)
    assert "the lines add up to 999, and the score is 1006" in mistake(damaged, "member", told.did("bob"), "--explain")


# ------------------------------------------------------------------------------------------- lists and tiers


def test_lists_follow_tiers_and_their_csv_is_whole(told: Told, tmp_path: Path) -> None:
    listed = answer(told.home, "lists")["members"]
    assert column(listed, "tier", "score") == [("AA", 1033), ("A", 1004), ("A", 1000), ("A", 999), ("C", 1000)]
    only_a = answer(told.home, "lists", "--tier", "A", "--limit", "2")
    assert (only_a["count"], only_a["members"]) == (3, listed[1:3])
    assert "Tier A: 3, as of height" in ask(told.home, "lists", "--tier", "A").stdout

    printed = ask(told.home, "lists", "--csv", "-", "--limit", "1")
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert [(row["member"], int(row["rank"])) for row in rows] == column(listed, "member", "rank")
    result = ask(told.home, "lists", "--tier", "A", "--csv", str(tmp_path / "a.csv"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "3 members" in result.stderr
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [row["tier"] for row in csv.DictReader(file)] == ["A"] * 3


def test_tiers_count_everybody_once(told: Told) -> None:
    document = answer(told.home, "tiers")
    assert column(document["tiers"], "tier", "members") == [
        *(("AAA", 0), ("AA", 1), ("A", 3)),
        *(("B", 0), ("C", 1), ("D", 0)),
    ]
    assert document["members"] == 5
    assert "60.0%" in ask(told.home, "tiers").stdout


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_tiers_are_drawn_the_same_each_time(told: Told, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{number}.{suffix}" for number in range(2)]
    for file in files:
        result = ask(told.home, "tiers", "--plot", str(file))
        assert (result.exit_code, "the figure is in" in result.stderr) == (0, True)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_bytes()) > 1_000


def test_a_figure_that_cannot_be_drawn_is_one_sentence(told: Told, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert "cannot be written" in mistake(told.home, "tiers", "--plot", str(tmp_path / "tiers.nothing"))
    assert "cannot be written" in mistake(told.home, "tiers", "--plot", str(tmp_path / "nowhere" / "tiers.svg"))


def test_without_matplotlib_the_remedy_is_named(told: Told) -> None:
    code = (
        "import sys\nsys.modules['matplotlib'] = None\nfrom pathlib import Path\n"
        "from tests.support.asking import mistake\n"
        f"print(mistake(Path({str(told.home)!r}), 'tiers', '--plot', 'x.svg'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert "`.uv/bin/uv run --group analysis" in found.stdout


# ---------------------------------------------------------------------------------------------------- records


def test_records_are_filtered(told: Told) -> None:
    def numbers(*args: str) -> set[tuple[str, int]]:
        return {(row["member"], row["number"]) for row in answer(told.home, "records", *args)["records"]}

    ann, bob, dan = told.did("ann"), told.did("bob"), told.did("dan")
    assert numbers() == {(ann, 0), (ann, 1), (ann, 2), (bob, 2), (dan, 0)}
    assert numbers("--member", bob) == {(bob, 2)}
    assert numbers("--status", "objected") == {(ann, 1)}
    assert numbers("--category", "1") == numbers("--category", "contract or loan default") == {(ann, 1), (bob, 2)}
    assert numbers("--issuer", told.did("office")) == numbers()
    assert numbers("--issuer", told.did("judge")) == set()
    assert numbers("--member", ann, "--category", "traffic ticket", "--status", "standing") == {(ann, 0)}
    limited = answer(told.home, "records", "--limit", "4")
    assert (len(limited["records"]), limited["more"]) == (4, True)
    assert answer(told.home, "records", "--limit", "5")["more"] is False
    assert "no category of records" in mistake(told.home, "records", "--category", "nothing")


def test_of_a_large_register_an_answer_looks_at_so_many_records(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enquiries, "MAX_LOOKED_AT", 2)
    found, after = [], list[str]()
    while True:
        page = answer(told.home, "records", "--category", "1", *after)
        assert page["more"] == (page["next"] is not None)
        found += [(row["member"], row["number"]) for row in page["records"]]
        if page["next"] is None:
            break
        assert f"more with --after {page['next']}" in ask(told.home, "records", "--category", "1", *after).stdout
        after = ["--after", page["next"]]
    assert set(found) == {(told.did("ann"), 1), (told.did("bob"), 2)}
    assert len(found) == 2


def test_open_objections_say_who_has_to_act_until_when(told: Told) -> None:
    (open_one,) = answer(told.home, "objections")["objections"]
    objected_in = next(
        block.header.slot
        for block in told.city.blocks
        if any(item.kind == "object" and item.actor == told.city.ann.key for item in block.transactions)
    )
    assert (open_one["member"], open_one["number"]) == (told.did("ann"), 1)
    assert open_one["deadline_slot"] == objected_in + 20
    assert open_one["left"] == f"{objected_in + 20 - told.city.height} s"
    assert "the issuer's answer" in ask(told.home, "objections").stdout


@pytest.mark.parametrize(
    ("question", "matters"),
    [
        (("objections",), {"member", "number", "waits_for", "left"}),
        (("records",), {"member", "number", "category", "points", "state"}),
        (("member", "ann", "--explain"), {"what", "points", "category", "by", "state"}),
        (("authorities",), {"authority", "status", "decided", "overturned", "rate ‰"}),
    ],
)
def test_at_eighty_columns_what_matters_is_shown(told: Told, question: tuple[str, ...], matters: set[str]) -> None:
    command, *rest = (told.did(word) if word == "ann" else word for word in question)
    document = answer(told.home, command, *rest)
    shows = institutions if command == "authorities" else people
    finding = people.member(document, True) if rest else getattr(shows, command)(document)
    assert not matters & left_out(finding, matters, 80)


@pytest.mark.parametrize(
    ("width", "matters"),
    [(80, {"what", "points", "category", "by", "state"}), (60, {"what", "points", "category", "state"})],
)
def test_where_a_score_comes_from_fits_also_where_issuers_have_names(
    told: Told, width: int, matters: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(console._names, told.did("office"), "market office")
    finding = people.member(answer(told.home, "member", told.did("ann"), "--explain"), True)
    assert not matters & left_out(finding, matters, width)


def left_out(finding: Finding, matters: set[str], width: int) -> set[str]:
    """The columns without room, in the table that has what matters."""
    sheet = next(each for each in finding.sheets if matters <= set(each.columns))
    rows = [[str(cell) for cell in row] for row in sheet.rows]
    return set(lay_out(sheet.columns, rows, [False] * len(sheet.columns), width, sheet.least).left_out)


def test_a_home_that_is_behind_says_what_its_node_knows(told: Told) -> None:
    """The scores on disk are of the last settled block."""
    document = answer(told.home, "member", told.did("ann"))
    height = document["as_of_height"]
    assert newer(document, height) == ""
    assert newer(document, height + 7) == (
        f"this is as of height {height}, and up to {height + 7} is final; --node URL asks the running node"
    )


# ---------------------------------------------------------------------------------------------------- history


def test_the_history_of_a_record_says_who_acted_and_how_it_ended(told: Told) -> None:
    office, judge, bob, cleo = (told.did(name) for name in ("office", "judge", "bob", "cleo"))

    def story(did: str, number: int) -> list[tuple[Any, ...]]:
        return column(answer(told.home, "history", did, "--record", str(number))["events"], "what", "by", "score")

    assert story(bob, 0) == [
        ("recorded", office, 980),
        ("objected", bob, 1000),
        ("maintained", office, 1000),
        ("heard: who rules is drawn by lot", None, 1000),
        ("struck", judge, 1000),
    ]
    assert story(bob, 1) == [
        ("recorded", office, 980),
        ("asked for repair", bob, 960),
        ("repaired", None, 999),
    ]
    assert [(what, by) for what, by, _ in story(bob, 2)] == [
        ("recorded", office),
        ("objected", bob),
        ("corrected", office),
    ]
    assert story(cleo, 0)[-1] == ("deleted: unanswered", None, 1004)
    assert "never was a record 7" in mistake(told.home, "history", bob, "--record", "7")


def test_the_history_of_a_member_ends_with_its_score(told: Told) -> None:
    for name in ("ann", "bob", "cleo", "dan", "eve"):
        document = answer(told.home, "history", told.did(name))
        events = document["events"]
        assert (events[0]["what"], events[0]["height"]) == ("enrolled", 1)
        last = answer(told.home, "member", told.did(name))
        assert (events[-1]["score"], events[-1]["tier"]) == (last["score"], last["tier"])
        for event in events:
            block = told.city.blocks[event["height"] - 1]
            assert (event["block"], event["slot"]) == (block.id.hex(), block.header.slot)
            signed = {item.id.hex(): did_from_key(item.actor) for item in block.transactions}
            assert event["by"] == (None if event["transaction"] is None else signed[event["transaction"]])
    ann = answer(told.home, "history", did_from_key(secret(60).public))
    assert ann["member"] == told.did("ann")
    assert [event["what"] for event in ann["events"]].count("moved to another key") == 1
    assert [event["points"] for event in ann["events"] if event["what"] == "rated"] == [6, 7, -2]


def test_transactions_of_every_kind_are_shown_in_words(told: Told) -> None:
    shown: dict[str, list[dict[str, Any]]] = {}
    for block in told.city.blocks:
        if block.transactions:
            for row in answer(told.home, "block", str(block.header.height))["transactions"]:
                shown.setdefault(row["kind"], []).append(row)
    assert set(shown) == {
        *("enrol", "rate", "rotate", "record", "object"),
        *("answer", "rule", "repair", "motion", "approve", "consent"),
    }
    assert [row["verdict"] for row in shown["answer"]] == ["maintain", "correct"]
    assert [row["verdict"] for row in shown["rule"]] == ["strike"]
    assert [row["step"] for row in shown["repair"]] == ["ask"]
    assert shown["rotate"][0]["new_key"] == told.did("ann")
    assert shown["object"][0]["grounds"] == DIGEST.hex()
    assert shown["motion"][0]["proposal"].startswith("accredit did:key:")


def test_evidence_is_shown_by_its_signer_and_the_ids_of_the_headers(told: Told) -> None:
    def header(slot: int) -> Header:
        roots = dict.fromkeys(("votes_root", "transaction_root", "state_root"), bytes(32))
        return sign_header(
            secret(1), told.city.genesis.id, height=1, slot=slot, parent=bytes(32), tag=NO_TAG, mhg=0, mhp=0, **roots
        )

    first, second = sorted((header(4), header(8)), key=lambda header: header.id)
    accusation = Actor(told.city.genesis, 70).sign(Evidence(first.raw, second.raw))
    document = transaction_document(told.city.genesis.policy, accusation)
    assert (document["subject"], document["first"], document["second"]) == (
        did_from_key(secret(1).public),
        first.id.hex(),
        second.id.hex(),
    )


# ------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize("command", [["member", "x"], ["history", "did:key:zz"], ["records", "--member", "nobody"]])
def test_what_is_no_did_is_one_sentence(told: Told, command: list[str]) -> None:
    assert "is not a key" in mistake(told.home, *command)


def test_who_is_not_enrolled_is_one_sentence(told: Told) -> None:
    stranger = did_from_key(secret(88).public)
    assert "is not enrolled as of height" in mistake(told.home, "member", stranger)
    assert "is not enrolled as of height" in mistake(told.home, "history", stranger)
