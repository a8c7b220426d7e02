"""``registry.py import`` against a fake node with a pool: whatever happens, each row is filed once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain.base.keys import did_from_key
from chain.content.actions import Action, Consent, Enrol, FileRecord, Propose, Rate
from chain.content.consents import sign_consent
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.proposals import Accredit
from chain.content.transactions import sign_transaction
from p2p.local.endpoints import MAX_SUBMISSION, MAX_TRIAL
from p2p.local.keyfile import write_key
from scripts.registry_parts import bulk
from tests.support.client import Ended, run_client
from tests.support.pool_node import Killed, PoolNode
from tests.support.world import secret

MARKET = found_genesis("market", shipped_policy("marketplace"), [secret(1).public], genesis_time_ms=0, slot_ms=1000)
TOWN = found_genesis("town", shipped_policy("municipal"), [secret(1).public], genesis_time_ms=0, slot_ms=3_600_000)
ANN, OFFICE = secret(2), secret(3)
MEMBERS = [secret(100 + number) for number in range(40)]
DIDS = [did_from_key(member.public) for member in MEMBERS]


class Desk:
    """A folder with a table and a key, and a node."""

    def __init__(self, folder: Path, genesis: Genesis, signer: int) -> None:
        self.node = PoolNode(genesis)
        self.folder = folder
        self.file = folder / "table.csv"
        self.journal = folder / "table.csv.journal"
        write_key(folder / "key", secret(signer).seed)

    def write(self, *lines: str) -> None:
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def ends(self, *options: str) -> Ended:
        key = str(self.folder / "key")
        return run_client("import", str(self.file), "--key", key, "--json", *options, transport=self.node.transport)

    def put(self, actor: int, action: Action, expiry_height: int = 100, nonce: int = 0) -> None:
        """A transaction of somebody's, in a block of its own."""
        self.node.pool.append(sign_transaction(secret(actor), self.node.genesis.id, nonce, expiry_height, action))
        self.node.make_block()
        assert self.node.chain[-1].action == action, "the fixture's transaction was refused"

    @property
    def filed(self) -> list[Action]:
        return [item.action for item in self.node.chain if isinstance(item.action, Rate | FileRecord)]


@pytest.fixture
def market(tmp_path: Path) -> Desk:
    """Ann and forty others are members; her table rates them."""
    desk = Desk(tmp_path, MARKET, 2)
    for number in (2, *range(100, 140)):
        desk.put(number, Enrol())
    desk.write("member,category,points", *(f"{did},trade,{number % 9 + 1}" for number, did in enumerate(DIDS)))
    return desk


@pytest.fixture
def town(tmp_path: Path) -> Desk:
    """The office records about Ann, with digests of its papers."""
    desk = Desk(tmp_path, TOWN, 3)
    desk.put(1, Propose(Accredit(OFFICE.public, 1, (1,), 0, 2**63)))
    desk.put(3, Consent(0))
    desk.put(2, Enrol(OFFICE.public, sign_consent(OFFICE, TOWN.id, ANN.public, 100)))
    rows = [f"contract or loan default;{did_from_key(ANN.public)};minor;1;{number:064x}" for number in range(1, 6)]
    desk.write("category;member;severity;established;evidence_digest", *rows)
    return desk


def test_a_window_is_what_a_node_tries_at_once() -> None:
    assert bulk.WINDOW == MAX_TRIAL
    assert bulk._MAX_SENT <= MAX_SUBMISSION


def test_a_table_is_filed_and_a_second_run_files_nothing(market: Desk) -> None:
    first = market.ends()
    assert (first.code, first.document["filed"]) == (0, 40)
    assert {action.subject for action in market.filed if isinstance(action, Rate)} == {m.public for m in MEMBERS}
    again = market.ends()
    assert (again.code, again.document["filed"], again.document["filed_before"]) == (0, 0, 40)
    assert len(market.filed) == 40


def test_broken_rows_are_reported_by_line_and_cost_no_other(market: Desk) -> None:
    lines = market.file.read_text().splitlines()
    lines[10] = f'{DIDS[0]},"trade,5'  # a quote that nobody closed
    lines[11] = f"{DIDS[10]},trade"
    lines[12] = f"{DIDS[11]},trade,99"
    lines[13] = "Ann,trade,5"  # a name is no key
    lines[14] = lines[15]
    lines[16] = f"{did_from_key(secret(999).public)},trade,5"  # nobody's key: only the register knows
    lines.insert(5, "")
    market.file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe,trade,5\n")
    checked = market.ends("--check")
    assert (checked.code, market.filed) == (1, [])
    assert [error["line"] for error in checked.document["errors"]] == [12, 13, 14, 15, 17, 43]
    assert not market.journal.exists()
    ended = market.ends()
    assert (ended.code, ended.document["filed"], ended.document["unreadable"]) == (1, 34, 6)
    assert [(row["line"], row["refused"]) for row in ended.document["refusals"]] == [(18, "not_enrolled")]
    assert len(market.filed) == 34


def test_mended_rows_are_filed_by_the_next_run(market: Desk) -> None:
    good = market.file.read_text()
    market.file.write_text(good.replace(f"{DIDS[20]},trade", f"{DIDS[20]},tread"), encoding="utf-8")
    assert market.ends().code == 1
    market.file.write_text("\n".join([good.splitlines()[0], *reversed(good.splitlines()[1:])]), encoding="utf-8")
    mended = market.ends()
    assert (mended.code, mended.document["filed"], mended.document["filed_before"]) == (0, 1, 39)


@pytest.mark.parametrize("hears_last", [True, False])
def test_killed_at_any_request_no_row_is_filed_twice_or_lost(town: Desk, hears_last: bool) -> None:
    before = dict(town.node.state)
    town.ends()
    requests = town.node.requests
    for dies_at in range(1, requests + 1):
        node = town.node = PoolNode(TOWN)
        node.state, node.height, node.dies_at, node.hears_last = dict(before), 2, dies_at, hears_last
        town.journal.unlink(missing_ok=True)
        with pytest.raises(Killed):
            town.ends()
        ended = town.ends()
        assert (ended.code, len(town.filed)) == (0, 5), dies_at
        assert ended.document["filed"] + ended.document["filed_before"] == 5


def test_what_a_crash_cut_off_in_the_journal_was_never_sent(town: Desk) -> None:
    assert town.ends().code == 0
    lines = town.journal.read_bytes().splitlines(keepends=True)
    signed = [line for line in lines if b"raw" in line]
    node = PoolNode(TOWN)
    node.state, node.height = dict(town.node.state), town.node.height
    for cut in (1, len(signed[-1]) - 1):
        town.journal.write_bytes(b"".join(lines[:1] + signed[:-1]) + signed[-1][:cut])
        ended = town.ends()
        assert (ended.code, ended.document["filed"], ended.document["filed_before"], len(town.filed)) == (0, 4, 1, 5)


def test_without_its_journal_records_are_found_on_the_chain(town: Desk) -> None:
    assert town.ends().code == 0
    town.journal.unlink()
    again = town.ends()
    assert (again.code, again.document["filed"], again.document["filed_before"], len(town.filed)) == (0, 0, 5, 5)


def test_a_journal_of_others_or_a_damaged_one_is_the_operators_to_mend(town: Desk) -> None:
    assert town.ends().code == 0
    whole = town.journal.read_bytes()
    town.journal.write_bytes(whole.replace(b"raw", b"row", 1))
    assert "line 2 is damaged" in town.ends().stderr
    town.journal.write_bytes(whole.replace(TOWN.id.hex().encode(), MARKET.id.hex().encode(), 1))
    ended = town.ends()
    assert (ended.code, "another key or network" in ended.stderr) == (2, True)


def test_what_does_not_get_in_waits_and_is_signed_anew_only_when_it_is_dead(
    town: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_LIFETIME_BLOCKS", 2)
    town.node.is_stalled = True
    late = town.ends("--timeout", "0")
    assert (late.code, late.document["waiting"], len(late.document["waits"])) == (3, 5, 5)
    assert town.ends("--timeout", "0").code == 3
    assert len(town.node.pool) == 5  # offered again as the same bytes, not beside them
    # A pool that lost everything, and a chain that went on past the expiry.
    town.node.pool.clear()
    for number in range(3):
        town.put(100 + number, Enrol(OFFICE.public, sign_consent(OFFICE, TOWN.id, MEMBERS[number].public, 100)))
    town.node.is_stalled = False
    done = town.ends("--timeout", "5")
    assert (done.code, done.document["filed"], len(town.filed)) == (0, 5, 5)


def test_a_key_that_signs_elsewhere_meanwhile_costs_no_row(town: Desk) -> None:
    town.node.is_stalled = True
    assert town.ends("--timeout", "0").code == 3
    town.node.pool.clear()
    others = [FileRecord(ANN.public, 1, -30, 1, bytes([9, number] * 16), b"", 1, 1) for number in range(2)]
    for nonce, other in enumerate(others):
        town.node.pool.append(sign_transaction(OFFICE, TOWN.id, nonce, 100, other))
    town.node.make_block()
    theirs = len(town.filed)
    town.node.is_stalled = False
    done = town.ends("--timeout", "5")
    assert (done.code, done.document["filed"], len(town.filed)) == (0, 5, 5 + theirs)


@pytest.mark.parametrize(
    ("heading", "why"),
    [
        ("member,points", "no column category"),
        ("member,category,points,note", "a column 'note'"),
        ("member,category,points,points", "points twice"),
        ("member,category,established", "no column evidence"),
        ("", "is empty"),
    ],
)
def test_a_file_of_another_form_is_said_at_once(market: Desk, heading: str, why: str) -> None:
    market.write(heading, *([DIDS[0]] if heading else []))
    ended = market.ends("--check")
    assert (ended.code, why in ended.stderr) == (2, True), ended.stderr


def test_evidence_lies_beside_the_table_and_now_is_no_date(town: Desk) -> None:
    (town.folder / "paper").write_bytes(b"what happened")
    ann = did_from_key(ANN.public)
    rows = (f"{ann},1,minor,0,paper", f"{ann},1,minor,now,paper", f"{ann},1,minor,1,none", f"{ann},1,minor,1,")
    town.write("member,category,severity,established,evidence", *rows)
    errors = town.ends("--check").document["errors"]
    assert [error["line"] for error in errors] == [3, 4, 5]
    assert "another time in the next run" in errors[0]["why"]


def test_people_read_what_was_not_filed_and_why(market: Desk) -> None:
    market.write("member,category,points", f"{DIDS[0]},trade,5", f"{did_from_key(secret(999).public)},trade,5", "x,y,z")
    ended = run_client("import", str(market.file), "--key", str(market.folder / "key"), transport=market.node.transport)
    assert ended.code == 1
    assert "3 rows, 1 filed, 1 refused, 1 unreadable (ratings)" in ended.stdout
    assert "not_enrolled" in ended.stdout
    assert json.loads(market.journal.read_text().splitlines()[0])["import"] == 1
