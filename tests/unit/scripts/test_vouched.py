"""Lists of people who are vouched for or denounced, as records: every line is a record, or is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.content.actions import Action, Consent, Enrol, FileRecord, Propose
from chain.content.genesis import found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.proposals import Accredit
from chain.content.transactions import sign_transaction
from p2p.local.addressbook import write_names
from p2p.local.keyfile import write_key
from scripts.registry_parts.vouched import Entry, read_entry, read_list
from tests.support.client import Ended, run_client
from tests.support.pool_node import PoolNode
from tests.support.world import secret

POLICY = shipped_policy("maintainers")
NET = found_genesis("maintainers", POLICY, [secret(1).public], genesis_time_ms=0, slot_ms=1000)
ALICE, BOB, CAROL = (secret(number).public for number in (11, 12, 13))
LIST = """\
# The maintainers of a project.

alice
github:bob
-github:Carol sends what she has not read
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    names = {ALICE: "alice", BOB: "github:bob", CAROL: "GitHub:carol"}
    write_names(tmp_path, {did_from_key(key): name for key, name in names.items()})
    (tmp_path / "VOUCHED.td").write_text(LIST, encoding="utf-8")
    return tmp_path / "VOUCHED.td"


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("", None),
        ("  ", None),
        ("# alice", None),
        ("alice", Entry("alice", False, "")),
        ("GitHub:Alice-B", Entry("github:alice-b", False, "")),
        ("alice  since 2019", Entry("alice", False, "since 2019")),
        ("-github:carol sends what she has not read", Entry("github:carol", True, "sends what she has not read")),
    ],
)
def test_what_a_line_says(line: str, entry: Entry | None) -> None:
    assert read_entry(line) == entry


@pytest.mark.parametrize("line", ["@alice", "--alice", "a:b:c", "-", "al/ice", ":alice", "- carol", "álice"])
def test_what_is_no_handle_is_said(line: str) -> None:
    with pytest.raises(OperatorError, match="is not a handle like github:alice"):
        read_entry(line)


def test_each_handle_becomes_a_record(file: Path) -> None:
    read = read_list(file, NET, POLICY, "7", None)
    records = [row.deed for row in read.rows if isinstance(row.deed, FileRecord)]
    assert [(row.subject, row.category, row.points, row.severity) for row in records] == [
        (ALICE, 1, 1, 1),
        (BOB, 1, 1, 1),
        (CAROL, 2, -1, 2),
    ]
    assert {row.established_slot for row in records} == {7}
    assert [bool(row.reason) for row in records] == [False, False, True]
    assert ([row.line for row in read.rows], read.unreadable) == ([3, 4, 5], ())
    assert read_list(file, NET, POLICY, "7", None) == read, "read again it says the same"


def test_lines_that_say_nothing_to_file_are_told_and_cost_no_other(file: Path) -> None:
    file.write_bytes(b"dave\n-alice\nALICE\nalice again\n@bob\n\xff\ngithub:bob\n")
    read = read_list(file, NET, POLICY, "7", None)
    assert [row.line for row in read.rows] == [3, 7]
    told = [(wrong.line, wrong.why) for wrong in read.unreadable]
    assert [line for line, _ in told] == [1, 2, 4, 5, 6]
    for (_, why), part in zip(
        told, ("no key is called 'dave'", "needs a reason", "as line 3", "not a handle", "UTF-8"), strict=True
    ):
        assert part in why


def ends(file: Path, node: PoolNode, *options: str) -> Ended:
    key = str(file.parent / "key")
    return run_client("import", str(file), "--key", key, "--json", *options, transport=node.transport)


def test_a_list_is_filed_once(file: Path) -> None:
    node = PoolNode(NET)
    write_key(file.parent / "key", secret(3).seed)
    accreditation: Action = Propose(Accredit(secret(3).public, 0, (1, 2), 0, 2**63))
    for number, action in ((1, accreditation), (3, Consent(0)), *((number, Enrol()) for number in (11, 12, 13))):
        node.pool.append(sign_transaction(secret(number), NET.id, 0, 100, action))
    node.make_block()
    assert ends(file, node).code == 2
    ended = ends(file, node, "--established", "1")
    assert (ended.code, ended.document["filed"]) == (0, 3)
    again = ends(file, node, "--established", "1")
    assert (again.code, again.document["filed"], again.document["filed_before"]) == (0, 0, 3)
    assert sum(isinstance(item.action, FileRecord) for item in node.chain) == 3
