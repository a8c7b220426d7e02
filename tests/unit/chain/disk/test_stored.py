"""What a home has stored: blocks that are trusted but for their root, finality, the policy in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chain.base.codec import encode
from chain.base.errors import Reason
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import Decision
from chain.content.actions import Enrol
from chain.content.blocks import encode_block
from chain.disk.database import DATABASE, Database
from chain.disk.schema import seal
from chain.disk.storage import Storage
from chain.disk.stored import policy_in_force, stored_finality, trusted_block
from chain.protocol.events import SigningState
from chain.register.statekeys import policy_key
from tests.support.forge import Forge
from tests.support.refusals import refusal
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database at the genesis."""
    Storage.create(tmp_path / DATABASE, GENESIS, SigningState())
    with closing(Database(tmp_path / DATABASE, GENESIS, read_only=False)) as opened:
        yield opened


def test_a_stored_block_is_trusted_but_for_its_root() -> None:
    ann, bob = Actor(GENESIS, 50), Actor(GENESIS, 51)
    block = Forge(GENESIS).block(None, [ann.sign(Enrol()), bob.sign(Enrol())])
    assert trusted_block(encode_block(block)) == block
    header, ballot, (first, second) = block.header.raw, block.ballot.raw, [item.raw for item in block.transactions]
    assert refusal(trusted_block, encode((header, ballot, (second, first)))) is Reason.WRONG_TX_ROOT
    other = make_ballot((), Decision(barred=((),))).raw
    assert refusal(trusted_block, encode((header, other, (first, second)))) is Reason.WRONG_VOTES_ROOT
    assert refusal(trusted_block, b"\x92") is Reason.MALFORMED


def test_finality_comes_back(database: Database) -> None:
    raw = seal(b"finalized", encode((12345,)))
    database.connection.execute("INSERT INTO meta VALUES ('finalized', ?)", (raw,))
    assert stored_finality(database) == 12345


def test_a_state_without_its_policy_is_refused(database: Database) -> None:
    database.connection.execute("DELETE FROM state WHERE key = ?", (policy_key(1),))
    assert refusal(policy_in_force, database) is Reason.MALFORMED
