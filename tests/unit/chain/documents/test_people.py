"""The register as documents: what a running node and a home on disk both tell, newest first and never without bound."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import Reason, Refused
from chain.base.keys import did_from_key
from chain.base.meanings import MEANINGS
from chain.base.merkle import EMPTY_ROOT
from chain.branches.blocktree import genesis_header
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Evidence, FileRecord, Recover
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import read_policy, shipped_policy
from chain.content.proposals import ReplaceValidator, Suspend, encode_proposal
from chain.content.transactions import sign_transaction
from chain.documents import people
from chain.documents.chronicle import block_document, refusal_document, transaction_document
from chain.documents.institutions import (
    authorities_document,
    authority_document,
    motion_document,
    motions_document,
    policy_document,
)
from chain.documents.people import explanation, listed_records, member_document, members, records_document
from chain.register.draft import Draft
from chain.register.entries import (
    OBJECTED,
    OPEN,
    Account,
    Authority,
    Docket,
    Entry,
    Member,
    Motion,
    Rating,
    Record,
    Rulings,
    Window,
)
from chain.register.registry import genesis_state
from chain.register.state import encode_entry
from chain.register.statekeys import (
    DOCKET_KEY,
    VALIDATORS_KEY,
    account_key,
    authority_key,
    member_key,
    motion_key,
    rating_key,
    record_key,
    rulings_key,
)
from chain.register.validators import Seat, Validators, weights_of
from chain.register.view import MemoryView, StateView
from scripts.chain_view import open_view
from tests.support.registered import lively_city
from tests.support.running import DEADLINE_S
from tests.support.world import secret

TOWN: Genesis = found_genesis("town", shipped_policy("municipal"), [secret(1).public], genesis_time_ms=0, slot_ms=1000)
ANN, HEIR, OFFICE, MOVED = (secret(number).public for number in (100, 101, 102, 103))
RECORD = Record(OFFICE, 1, -20, 1, bytes(32), b"", 0, 5, 1, 900, 30, -1, OBJECTED, 0, 70, bytes(32), b"", b"")


def view_of(*more: tuple[bytes, Entry]) -> StateView:
    """Ann moved to another key, and had eight records; those with odd numbers are still there.  So did the office."""
    entries = {
        member_key(ANN): Member(HEIR, 1, 0, 0, 0, 8, 0, 4, ()),
        account_key(HEIR): Account(0, ANN, b""),
        authority_key(OFFICE): Authority(MOVED, 0, (1,), 0, 99, 0, 8, 4, 0, 0),
        **{record_key(ANN, number): RECORD._replace(height=number) for number in (1, 3, 5, 7)},
        **dict(more),
    }
    state = genesis_state(TOWN) | {key: encode_entry(entry) for key, entry in entries.items()}
    return MemoryView(state, TOWN, 9, 10)


# ------------------------------------------------------------------------------------------------------ records


@pytest.mark.parametrize("key", [ANN, HEIR], ids=["the first key", "the key it moved to"])
def test_the_records_that_are_there_come_newest_first(key: bytes) -> None:
    told = records_document(view_of(), key)
    assert (told["as_of_height"], told["final"], told["more"]) == (9, False, False)
    assert [row["number"] for row in told["records"]] == [7, 5, 3, 1]
    assert told["records"][0] == {
        "member": did_from_key(HEIR),
        "number": 7,
        "issuer": did_from_key(MOVED),
        "category": "contract or loan default",
        "code": 1,
        "points": -20,
        "worth": -20,
        "status": "objected",
        "counts": False,
        "disputed": True,
        "upheld": False,
        "appealed": False,
        "reopened": False,
        "severity": TOWN.policy.severities[0].name,
        "tier_cap": None,
        "policy": 1,
        "height": 7,
        "established_slot": 0,
        "established_time": "1970-01-01T00:00:00.000+00:00",
        "expires_slot": 900,
        "expires_time": "1970-01-01T00:15:00.000+00:00",
        "repair_slot": 30,
        "repair_time": "1970-01-01T00:00:30.000+00:00",
        "appeal_slot": None,
        "appeal_time": None,
        "halves_slot": None,
        "halves_time": None,
        "fading": None,
        "deadline_slot": 70,
        "deadline_time": "1970-01-01T00:01:10.000+00:00",
        "waits_for": "the issuer's answer",
        "left": "1 min",
        "arbiters": [],
        "evidence": "00" * 32,
        "reason": None,
        "grounds": "00" * 32,
        "statement": None,
        "proof": None,
    }


def test_a_stranger_has_none() -> None:
    assert records_document(view_of(), OFFICE) == {"as_of_height": 9, "final": False, "more": False, "records": []}


def test_records_are_bounded_in_what_is_shown_and_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "MAX_SHOWN", 3)
    told = records_document(view_of(), ANN)
    assert ([row["number"] for row in told["records"]], told["more"]) == ([7, 5, 3], True)
    monkeypatch.setattr(people, "MAX_LOOKED_AT", 4)
    assert [row["number"] for row in records_document(view_of(), ANN)["records"]] == [7, 5]


def test_nothing_is_looked_at_beyond_the_last_record_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []
    view = view_of((member_key(ANN), Member(HEIR, 1, 0, 0, 0, 8, 0, 1, ())))

    def get(key: bytes, get: Callable[[bytes], Any] = view.get) -> Any:
        looked.append(key)
        return get(key)

    monkeypatch.setattr(view, "get", get)
    assert [row["number"] for row in records_document(view, ANN)["records"]] == [7]
    assert record_key(ANN, 6) not in looked


def test_nothing_is_read_beyond_the_first_row_that_is_not_shown() -> None:
    rows = iter([(ANN, number, RECORD) for number in range(5)])
    assert listed_records(view_of(), rows, 2)["more"]
    assert [number for _, number, _ in rows] == [3, 4]


def test_a_line_is_in_its_category_also_where_its_code_is_nought() -> None:
    policy = shipped_policy("marketplace").to_document()
    policy["rating"] = [{"code": 0, "name": "courtesy", "min": -5, "max": 5}]
    town = found_genesis("town", read_policy(policy), [secret(1).public], genesis_time_ms=0, slot_ms=1000)
    member = Member(ANN, 1, 3, 1, 0, 0, 0, 0, ())
    entries: dict[bytes, Entry] = {member_key(ANN): member, rating_key(ANN, OFFICE, 0): Rating(3, 7)}
    state = genesis_state(town) | {key: encode_entry(entry) for key, entry in entries.items()}
    base, rated = explanation(MemoryView(state, town, 9, 10), ANN, member)
    assert "category" not in base
    assert rated == {
        **{"kind": "rating", "points": 3, "category": "courtesy"},
        **{"rater": did_from_key(OFFICE), "height": 7},
    }


# ------------------------------------------------------------------------------------------------- institutions


def test_the_newest_motions_come_first() -> None:
    assert motions_document(view_of()) == {"as_of_height": 9, "final": False, "open": 0, "motions": []}
    proposal = encode_proposal(ReplaceValidator(ANN, HEIR))
    rows = [(motion_key(number), Motion(OFFICE, proposal, number, 70, (OFFICE,), OPEN, 0, 0)) for number in range(3)]
    view = view_of((DOCKET_KEY, Docket(3, (1, 2))), *rows)
    told = motions_document(view)["motions"]
    assert [row["number"] for row in told] == [2, 1, 0]
    assert told[0] == {
        "number": 2,
        "status": "open",
        "kind": "ReplaceValidator",
        "proposes": f"hand the seat of validator {did_from_key(ANN)} to {did_from_key(HEIR)}",
        "about": [did_from_key(ANN), did_from_key(HEIR)],
        "proposer": did_from_key(OFFICE),
        "height": 2,
        "approvals": [did_from_key(OFFICE)],
        "closed_height": None,
        "weight": 0,
        "weight_needed": 1,
        "awaits_consent": None,
        "expires_slot": 70,
        "expires_time": "1970-01-01T00:01:10.000+00:00",
        "left": "1 min",
    }
    assert [row["number"] for row in motions_document(view, 2)["motions"]] == [2, 1]
    assert [row["number"] for row in motions_document(view, 2, only_open=True)["motions"]] == [2, 1]


@pytest.mark.parametrize(("approving", "weight", "needed"), [(0, 0, 5), (1, 3, 2), (2, 5, 0), (3, 6, 0)])
def test_a_motion_needs_more_than_two_thirds_of_the_weight(approving: int, weight: int, needed: int) -> None:
    keys = [secret(number).public for number in (1, 2, 3, 4)]
    rows = zip(keys, (3, 2, 1, 9), (0, 0, 0, 1), strict=True)
    seats = tuple(Seat(key, weight, is_jailed, 0) for key, weight, is_jailed in rows)
    motion = Motion(OFFICE, encode_proposal(Suspend(OFFICE)), 2, 70, tuple(keys[:approving]), OPEN, 0, 0)
    view = view_of((VALIDATORS_KEY, Validators(seats, weights_of(seats), (), (), 0, (), ())))
    told = motion_document(view, 0, motion)
    assert (told["weight"], told["weight_needed"]) == (weight, needed)


@pytest.mark.parametrize(
    ("window", "told"), [((0, 5, 2, 3, 1), (8, 3, 375)), ((0, 1, 2, 0, 0), (1, 1, 1000)), ((0, 0, 0, 0, 0), (0, 0, 0))]
)
def test_how_an_authoritys_contested_records_held(window: tuple[int, ...], told: tuple[int, int, int]) -> None:
    authority = Authority(MOVED, 0, (), 0, 99, 0, 80, 7, 9, 5, 4, 2, Window(*window))
    view = view_of((rulings_key(OFFICE, ANN), Rulings(1, 2, 3)))
    document = authority_document(view, OFFICE, authority)
    names = ("decided_in_window", "overturned_in_window", "overturned_permille")
    assert tuple(document[name] for name in names) == told
    ever = ("filed", "withdrawn", "decided", "overturned", "forgiven_decided", "forgiven_overturned")
    assert [document[name] for name in ever] == [80, 7, 9, 5, 4, 2]
    assert document["rulings"] == [{"issuer": did_from_key(HEIR), "upheld": 1, "struck": 2, "silent": 3}]


def test_the_policy_in_force_is_told_whole() -> None:
    told = policy_document(view_of())
    assert told == {
        "as_of_height": 9,
        "final": False,
        "version": 1,
        "digest": TOWN.policy.digest().hex(),
        "policy": TOWN.policy.to_document(),
        "announced": None,
    }


def test_an_authority_is_in_its_term_up_to_the_slot_before_the_last() -> None:
    terms = [(10, 11), (11, 12), (0, 10)]
    told = [authorities_document(view_of((authority_key(OFFICE), Authority(MOVED, 0, (), *term, 0)))) for term in terms]
    assert [row["authorities"][0]["in_term"] for row in told] == [True, False, False]
    assert told[0]["authorities"][0]["first_key"] == did_from_key(OFFICE)


# ------------------------------------------------------------------------------------------------------ the rest


def test_a_block_is_final_up_to_the_final_height_of_the_main_chain() -> None:
    roots = {"votes_root": bytes(32), "transaction_root": bytes(32), "state_root": bytes(32)}
    header = sign_header(secret(1), TOWN.id, height=4, slot=5, parent=bytes(32), tag=NO_TAG, mhg=3, mhp=2, **roots)
    told = [block_document(TOWN, header, 7, final) for final in (3, 4)]
    told += [block_document(TOWN, header, 7, 4, main=False)]
    assert [(row["main"], row["final"]) for row in told] == [(True, False), (True, True), (False, False)]
    assert told[0] == {
        "id": header.id.hex(),
        "height": 4,
        "slot": 5,
        "time": "1970-01-01T00:00:05.000+00:00",
        "proposer": did_from_key(secret(1).public),
        "parent": "00" * 32,
        "tag": None,
        "mhg": 3,
        "mhp": 2,
        "votes_root": "00" * 32,
        "transaction_root": "00" * 32,
        "state_root": "00" * 32,
        "transaction_count": 7,
        "main": True,
        "final": False,
    }


def test_how_many_transactions_a_block_holds_is_unknown_where_only_its_header_was_ever_here() -> None:
    def counted(root: bytes, count: int) -> object:
        roots = {"votes_root": bytes(32), "transaction_root": root, "state_root": bytes(32)}
        header = sign_header(secret(1), TOWN.id, height=4, slot=5, parent=bytes(32), tag=NO_TAG, mhg=3, mhp=2, **roots)
        return block_document(TOWN, header, count, 4)["transaction_count"]

    assert [counted(EMPTY_ROOT, 0), counted(b"r" * 32, 7), counted(b"r" * 32, 0)] == [0, 7, None]
    assert block_document(TOWN, genesis_header(TOWN, bytes(32)), 0, 4)["transaction_count"] == 0


def test_keys_and_signatures_in_a_list_are_told_as_hex() -> None:
    recovery = Recover(ANN, 0, 2, (b"a" * 32, b"b" * 32), b"s" * 16, (b"", b"c" * 64))
    document = transaction_document(TOWN.policy, sign_transaction(secret(102), TOWN.id, 3, 70, recovery))
    assert document["guardians"] == ["61" * 32, "62" * 32]
    assert document["signatures"] == [None, "63" * 64]
    assert json.loads(json.dumps(document)) == document


def test_a_transaction_is_told_with_the_fields_of_its_kind() -> None:
    filing = FileRecord(ANN, 1, -20, 1, bytes(32), b"", 5, 1)
    signed = sign_transaction(secret(102), TOWN.id, 3, 70, filing)
    assert transaction_document(TOWN.policy, signed) == {
        "id": signed.id.hex(),
        "kind": signed.kind,
        "actor": did_from_key(OFFICE),
        "nonce": 3,
        "expiry_height": 70,
        "subject": did_from_key(ANN),
        "category": "contract or loan default",
        "points": -20,
        "severity": 1,
        "evidence": "00" * 32,
        "reason": None,
        "established_slot": 5,
        "policy_version": 1,
    }


def test_evidence_is_told_by_its_signer_and_the_ids_of_the_headers() -> None:
    roots = {"votes_root": bytes(32), "transaction_root": bytes(32), "state_root": bytes(32)}
    first, second = (
        sign_header(secret(1), TOWN.id, height=1, slot=slot, parent=bytes(32), tag=NO_TAG, mhg=0, mhp=0, **roots)
        for slot in (4, 8)
    )
    told = transaction_document(
        TOWN.policy, sign_transaction(secret(102), TOWN.id, 3, 70, Evidence(first.raw, second.raw))
    )
    assert [told[name] for name in ("subject", "first", "second")] == [
        did_from_key(secret(1).public),
        first.id.hex(),
        second.id.hex(),
    ]


def test_a_refusal_as_a_document() -> None:
    document = refusal_document(Refused(Reason.NOT_ISSUER, "only the record's issuer may do that"), TOWN)
    assert (document["refused"], document["detail"]) == ("not_issuer", "only the record's issuer may do that")
    assert (document["rule"], document["needed"]) == MEANINGS[Reason.NOT_ISSUER]
    assert document["when"] == {}


def test_slots_in_a_refusal_are_told_as_times() -> None:
    late = Refused(Reason.DEADLINE_PASSED, f"due before slot 86400, not slot -1000 or slot {2**60}")
    assert refusal_document(late, TOWN)["when"] == {
        "slot 86400": "1970-01-02 00:00 UTC",
        "slot -1000": "1969-12-31 23:43 UTC",
        f"slot {2**60}": "beyond the calendar",
    }


def test_a_state_in_memory_and_the_same_on_disk_give_the_same_documents(tmp_path: Path) -> None:
    city = lively_city()
    home = city.write(tmp_path / "home")
    with open_view(home) as opened:
        stored = opened.state
        block = city.blocks[stored.height - 1]
        memory = MemoryView(city.state(block), city.genesis, stored.height, city.blocks[-1].header.slot, is_final=True)
        assert json.dumps(everything(memory)) == json.dumps(everything(stored))


def everything(view: StateView) -> list[Any]:
    """All that documents say of members, records and those who judge and decide."""
    about_members = [
        (member_document(view, identity, member), explanation(view, identity, member), records_document(view, identity))
        for identity, member in members(view)
    ]
    assert about_members
    return [about_members, authorities_document(view), motions_document(view), policy_document(view)]


def test_who_looks_can_write_nothing() -> None:
    register = view_of()
    assert isinstance(register, StateView)
    assert not isinstance(register, Draft)
    assert not hasattr(register, "put")


def test_documents_need_neither_a_network_nor_a_database() -> None:
    code = "import sys, chain.documents.people; print(sorted({'trio', 'libp2p', 'sqlite3'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    assert found.stdout.strip() == "[]"
