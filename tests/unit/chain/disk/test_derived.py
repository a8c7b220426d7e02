"""What follows from the entries: ranks, and scores under a new policy, by and by."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chain.base.keys import did_from_key
from chain.branches.blockchain import Settled
from chain.consensus.votecodec import decode_votes
from chain.disk import derived
from chain.disk.database import DATABASE
from chain.disk.derived import bands_above
from chain.disk.enquiries import tiers, top
from chain.disk.inspection import view_of
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.protocol.events import Commit
from chain.register.draft import Changes
from chain.register.entries import PolicyText
from chain.register.state import encode_entry
from chain.register.statekeys import RULES_KEY, policy_key
from tests.support.registered import Told, told_city


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A small register's home."""
    return told_city(tmp_path_factory.mktemp("told") / "home")


@pytest.mark.parametrize("score", [-(10**6), -17, -1, 0, 1, 15, 16, 255, 999, 10**6, 2**40])
def test_all_better_scores_are_in_the_bands_above_once(score: int) -> None:
    bands = list(bands_above(score))
    for other in {score + step for step in (-5_000, -16, -1, 0, 1, 2, 15, 16, 17, 300, 10**5)}:
        hits = sum(first <= other >> 4 * level <= last for level, first, last in bands)
        assert hits == (other > score)


def test_a_new_policy_is_applied_by_and_by(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a register whose members have scores
    monkeypatch.setattr(derived, "RESCORED_AT_ONCE", 2)
    home = Path(shutil.copytree(told.home, tmp_path / "home"))
    genesis = told.city.genesis
    with closing(Storage(home / DATABASE, genesis)) as storage, closing(Reader(home / DATABASE, genesis)) as reader:
        before = dict(reader.standings(100))
        view, header, votes = reader.view(), reader.snapshot_header(), decode_votes(reader.snapshot_votes() or b"")
        assert header is not None
        # when a policy comes into force under which everybody has more
        policy = replace(view.policy, base=view.policy.base + 100)
        changes: Changes = {
            RULES_KEY: (encode_entry(view.rules), encode_entry(view.rules)),
            policy_key(view.rules.version): (None, encode_entry(PolicyText(policy.encode()))),
        }
        storage.commit([Commit(settled=Settled(header, votes, changes))])
        # then each commit gives some of them their scores, and it is known how far that is
        for done in (2, 4, 5):
            after = dict(reader.standings(100))
            assert sum(reader.count_tiers().values()) == 5
            for answer in (tiers(view_of(reader)), top(view_of(reader), 5)):
                assert answer.get("rescored_to") == (None if done == 5 else did_from_key(sorted(before)[done - 1]))
            assert [after[member] - before[member] for member in sorted(before)] == [100] * done + [0] * (5 - done)
            assert (reader.rescored() is None) == (done == 5)
            for score in after.values():
                assert reader.rank(score) == 1 + sum(other > score for other in after.values())
            storage.commit([Commit(settled=Settled(header, votes, {}))])
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        assert connection.execute("SELECT min(members) FROM ranks").fetchone() == (1,)
