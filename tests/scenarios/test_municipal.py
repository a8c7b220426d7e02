"""The story of a city's credit register, in memory; ``testnet.py --scenario municipal`` tells it on real nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.content.identities import left_key
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.register.entries import Member
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import member_key
from scripts.municipal.audit import audit
from scripts.municipal.cast import MEMBERS
from tests.support.rehearsal import SLOTS, Rehearsal


@pytest.fixture(scope="module")
def story() -> Rehearsal:
    return Rehearsal()


def test_every_node_agrees_with_the_paper_and_explains_every_score(story: Rehearsal) -> None:
    story.assert_everybody_agrees(MEMBERS - 1)
    assert story.director.skipped == []


def test_every_right_of_a_member_is_used_once_at_least(story: Rehearsal) -> None:
    assert story.counts == {
        "carried": 10,
        "filed": 147,  # 20 + 67 + 59, and one under the new policy
        "rotated": 1,
        "guarded": 1,
        "recovery asked": 1,
        "recovered": 1,
        "leaving": 1,
        "left": 1,
        "forgotten": 1,
        "stated": 2,
        "objected": 8,
        "maintained": 4,
        "lots were drawn": 5,
        "appealed": 1,
        "voted": 3,
        "silence": 2,
        "struck": 2,
        "unruled": 1,
        "upheld": 2,
        "withdrawn": 1,
        "corrected": 2,
        "repair asked": 3,
        "repaired": 1,
        "repaired by silence": 1,
        "repair declined": 1,
        "expired": 5,
        "suspended": 1,
        "amended": 1,
    }


@pytest.mark.parametrize(
    ("number", "score", "tier", "why"),
    [
        (1, 1000, "A", "nothing is recorded"),
        (14, 1000, "C", "drunk driving takes no points, and caps the tier"),
        (17, 1000, "A", "the market office was silent"),
        (18, 1000, "A", "so it was, and the cap is lifted too"),
        (19, 1000, "A", "the arbiter struck it, under the member's new key"),
        (20, 970, "A", "the arbiter upheld it"),
        (31, 1000, "A", "withdrawn"),
        (32, 990, "A", "corrected"),
        (33, 1000, "A", "the arbiter was silent"),
        (34, 1000, "A", "upheld, and struck on its appeal by two of three others"),
        (35, 1000, "A", "repaired"),
        (36, 1000, "A", "repaired: the bank was silent"),
        (37, 980, "A", "the repair was declined"),
        (40, 980, "A", "its history came with it to the recovered key"),
        (86, 1000, "A", "expired"),
        (96, 950, "A", "B, but for the amendment"),
        (101, 1035, "AA", "a heroic act, and hours that count once"),
        (106, 1040, "AA", "a heroic act, and two steps of hours"),
        (150, 997, "A", "a fine under the new policy"),
        (30, 995, "A", "a fine under the old one keeps its points"),
        (200, 500, "D", "five times damage to public equipment"),
    ],
)
def test_where_a_member_stands_in_the_end(story: Rehearsal, number: int, score: int, tier: str, why: str) -> None:
    assert story.standing(number) == (score, tier), why


def test_an_issuer_is_suspended_by_its_own_error_rate_and_restored_by_motion(story: Rehearsal) -> None:
    market = story.paper.offices[story.cast.market.key].account()
    assert (market.filed, market.decided, market.overturned, market.status) == (21, 4, 3, "active")
    assert (market.forgiven_decided, market.forgiven_overturned) == (4, 3)
    suspended = next(event for event in story.paper.events if event.what == "suspended")
    assert suspended.about == story.cast.market.key
    bank = story.paper.offices[story.cast.bank.key].account()
    # one was withdrawn, one corrected, one struck on its appeal; for the arbiter's silence the bank does not answer
    assert (bank.withdrawn, bank.decided, bank.overturned, bank.status) == (1, 3, 3, "active")
    silent = [issuer for (_, issuer), ruled in story.paper.rulings.items() if ruled["silent"]]
    assert silent == [story.cast.bank.key]


def test_an_appeal_goes_to_three_others_on_whom_the_lot_fell(story: Rehearsal) -> None:
    subject = story.cast.member(34).key
    votes = [event.about for event in story.paper.events if event.what == "voted"]
    assert [(about, verdict) for about, _, _, verdict in votes] == [(subject, verdict) for verdict in (2, 1, 1)]
    first = story.paper.records[subject][0].arbiter
    arbiters = {arbiter.key for arbiter in story.cast.arbiters}
    assert {first, *(arbiter for _, _, arbiter, _ in votes)} == arbiters
    assert story.paper.records[subject][0].end == "struck"


def test_a_lost_key_is_recovered_and_its_history_follows(story: Rehearsal) -> None:
    lost, found = story.cast.member(40).key, story.cast.found.key
    assert story.paper.current[lost] == found
    record = story.paper.record(lost, 0)
    assert record is not None
    assert (record.status, record.statement != b"") == ("standing", True)


def test_of_who_left_a_mark_remains_on_every_node(story: Rehearsal) -> None:
    gone = story.cast.member(97).key
    for host in story.world.hosts:
        state = host.engine.chain.ledger.state
        # Keys of entries are made of keys of members; a mark is a hash.
        assert not [key for key in state if gone in key]
        assert left_key(gone) in state


def test_who_left_has_no_rank_in_any_home(story: Rehearsal, tmp_path: Path) -> None:
    reader = Reader(story.write(tmp_path / "home") / DATABASE, story.world.genesis)
    assert {member for member, _ in reader.standings(MEMBERS)} == story.paper.enrolled.keys()
    assert reader.count_members() == MEMBERS - 1
    reader.close()


def test_what_ended_stays_ended(story: Rehearsal) -> None:
    assert sorted(line.partition(": refused, ")[::2] for line in story.director.refused) == [
        ("member 97 enrols again", f"this key has left, and comes back from slot {story.mark(97)}"),
        ("the market office files record 0 about member 17 again", "a record of this evidence has ended"),
        (
            "the market office files record 0 about member 17 again, with another document",
            "a record of the same member, category and day has ended",
        ),
    ]


def test_a_validator_is_replaced(story: Rehearsal) -> None:
    *_, leaving, newcomer = story.world.hosts
    assert not leaving.engine.is_validator
    assert newcomer.engine.is_validator
    assert newcomer.signed
    assert max(leaving.signed) < min(newcomer.signed)


def test_the_story_is_told_in_sentences(story: Rehearsal) -> None:
    chapters = [line for line in story.told if line.startswith("Chapter ")]
    assert len(chapters) == len(story.director.told) == 9
    assert "objection of member 17 to record 0: the agency was silent, struck" in story.told
    assert "the market office may not file any more: too many of its records were overturned" in story.told


def test_the_outcome_and_the_paper_are_the_same_files(story: Rehearsal) -> None:
    tables = story.audit(0).tables
    assert tables["outcome.csv"] == tables["outcome-on-paper.csv"]
    assert tables["authorities.csv"] == tables["authorities-on-paper.csv"]
    header, *lines = tables["outcome.csv"].splitlines()
    assert header == "member,score,tier,open_objections,records_standing"
    assert len(lines) == MEMBERS - 1
    assert f"{did_from_key(story.cast.heir.key)},1000,A,0,0" in lines
    assert tables["authorities.csv"].count(",active,") == 7


def test_who_is_too_late_loses_by_silence_and_the_story_goes_on() -> None:
    story = Rehearsal(frozenset({"answer", "rule"}), 150)
    story.assert_everybody_agrees(MEMBERS - 1)
    assert story.counts["silence"] == 8
    assert not story.counts.keys() & {"maintained", "upheld", "struck", "withdrawn"}
    assert "the savings bank: answer" in story.director.skipped


def test_nodes_that_come_up_late_tell_the_same_story() -> None:
    story = Rehearsal(outage_slots=90)
    story.assert_everybody_agrees(MEMBERS - 1)
    assert story.paper.lost > 60
    assert (story.director.skipped, story.counts["amended"], story.counts["expired"]) == ([], 1, 5)


def test_a_motion_that_lapses_is_moved_again() -> None:
    story = Rehearsal(frozenset({"approve"}), 80)
    story.assert_everybody_agrees(MEMBERS - 1)
    assert (story.counts["motion lapsed"], story.counts["carried"]) == (7, 10)


def test_a_story_whose_motions_all_lapse_is_given_up() -> None:
    with pytest.raises(OperatorError, match="choose a larger --slot-ms"):
        Rehearsal(frozenset({"approve"}), SLOTS)


def test_a_score_that_is_wrong_on_one_node_is_noticed(story: Rehearsal) -> None:
    host = story.world.hosts[2]
    key = member_key(story.cast.member(1).key)
    member = decode_entry(key, host.engine.chain.ledger.state[key])
    assert isinstance(member, Member)
    state = {**host.engine.chain.ledger.state, key: encode_entry(member._replace(record_points=30))}
    found = audit(story.world.genesis, host.disk.main, state, host.height)
    assert not found.holds
    assert (found.explained, found.members) == (MEMBERS - 2, MEMBERS - 1)
    assert [found.differences[0][:8], found.differences[1][:2]] == ["did:key:", "m "]  # its row, and its entry
    assert len(found.differences) == 2
    assert "(1030, 'AA', 0, 0) in the state, (1000, 'A', 0, 0) by hand" in found.differences[0]
