"""``registry.py status``: what is open about a key, and until when, as a date."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.content.actions import Action, Consent, Enrol, FileRecord, Object, Propose
from chain.content.consents import sign_consent
from chain.content.genesis import found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.proposals import Accredit
from chain.content.transactions import sign_transaction
from chain.documents.words import moment_of
from chain.register.entries import Record
from chain.register.statekeys import RECORDS
from p2p.local.keyfile import write_key
from scripts import console
from scripts.registry import OPEN, SPARED, TO_RULE
from scripts.registry_parts.listing import who_acts
from scripts.tables import lay_out
from tests.support.client import run_client
from tests.support.pool_node import PoolNode
from tests.support.world import secret

TOWN = found_genesis("town", shipped_policy("municipal"), [secret(1).public], genesis_time_ms=0, slot_ms=3_600_000)
ANN, OFFICE = secret(2), secret(3)


@pytest.fixture
def node() -> PoolNode:
    """Ann objected to what the office recorded."""
    node = PoolNode(TOWN)

    def put(actor: int, action: Action, nonce: int = 0) -> None:
        node.pool.append(sign_transaction(secret(actor), TOWN.id, nonce, 100, action))
        node.make_block()
        assert node.chain
        assert node.chain[-1].action == action

    put(1, Propose(Accredit(OFFICE.public, 1, (1,), 0, 2**63)))
    put(3, Consent(0))
    put(2, Enrol(OFFICE.public, sign_consent(OFFICE, TOWN.id, ANN.public, 100)))
    put(3, FileRecord(ANN.public, 1, TOWN.policy.categories[1].low, 1, b"e" * 32, b"", 1, 1), 1)
    put(2, Object(ANN.public, 0, b"g" * 32), 1)
    return node


def test_open_matters_are_shown_with_the_date_until_which_somebody_has_to_act(tmp_path: Path, node: PoolNode) -> None:
    write_key(tmp_path / "ann", ANN.seed)
    options = ("status", "--key", str(tmp_path / "ann"))
    (matter,) = run_client(*options, "--json", transport=node.transport).document["open"]
    (record,) = [entry for _, entry in node.view.entries(RECORDS + ANN.public, Record)]
    assert matter["until"] == moment_of(TOWN, record.deadline_slot)
    shown = run_client(*options, transport=node.transport).stdout
    assert "Open matters about this key" in shown
    assert matter["until"] in shown


@pytest.mark.parametrize("columns", [OPEN, TO_RULE])
def test_until_when_is_told_at_eighty_columns(columns: tuple[str, ...]) -> None:
    widest = {
        "member": "member 195 z6MkemBxLjhLv7oY…",
        "number": "0",
        "category": "breach of contract found by a court",
        "points": "-1,000",
        "status": "before three arbiters",
        "waits_for": "the rulings of three arbiters",
        "until": "2026-11-28 20:57 UTC",
        "issuer": "the market of… z6MkmiLWkyVCcurU…",
    }
    (headings, line), left_out = lay_out(columns, [[widest[name] for name in columns]], [False] * 7, 80, SPARED)
    assert "until" not in left_out
    assert max(map(len, (*headings, *line))) <= 80


def test_a_key_without_any_has_no_such_table(tmp_path: Path, node: PoolNode) -> None:
    write_key(tmp_path / "office", OFFICE.seed)
    console.use_names({})
    ended = run_client("status", "--key", str(tmp_path / "office"), transport=node.transport)
    assert (ended.code, "Open matters" in ended.stdout) == (0, False)


def test_each_of_three_arbiters_has_a_line_and_so_its_name() -> None:
    record = {"number": 1, "waits_for": "the rulings of three arbiters", "arbiters": ["did:a", "did:b", "did:c"]}
    first, *others = who_acts(record, "tomorrow")
    assert first == (1, "the rulings of three arbiters", "tomorrow", "did:a")
    assert others == [(1, "", "", "did:b"), (1, "", "", "did:c")]
    (alone,) = who_acts({**record, "arbiters": []}, "tomorrow")
    assert alone[-1] is None
