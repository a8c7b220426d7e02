"""What the audit says about the story of a city's credit register."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from chain.base.keys import did_from_key, key_from_did
from chain.register.statekeys import rulings_key
from scripts.audit import audit
from scripts.audit_parts.home import read_home
from scripts.chain_view import open_view
from tests.support.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rehearsal, Path]:
    """The story of a city, and a home that holds it."""
    story = Rehearsal()
    return story, story.write(tmp_path_factory.mktemp("city") / "home")


def test_the_records_of_a_story_end_as_it_tells(city: tuple[Rehearsal, Path]) -> None:
    story, path = city
    cast = story.cast
    with open_view(path) as view:
        frames = read_home(view, lambda _: None)
    records = frames.records
    assert len(records) == story.counts["filed"]
    about = dict(iter(records.groupby("subject")))
    outcomes = {
        number: about[did_from_key(cast.member(number).key)].iloc[0]["outcome"]
        for number in (17, 19, 20, 31, 32, 33, 34, 35, 36, 37, 38, 86)
    }
    assert outcomes == {
        17: "lapsed", 19: "struck", 20: "upheld", 31: "withdrawn", 32: "corrected", 33: "unruled", 34: "struck",
        35: "repaired", 36: "repaired", 37: "standing", 38: "corrected", 86: "expired",
    }  # fmt: skip
    assert records["objected"].sum() == story.counts["objected"]
    lost = records.groupby("issuer")["overturned"].sum()
    for agency in (cast.civil, cast.bank, cast.market):
        assert lost[did_from_key(agency.key)] == story.paper.offices[agency.key].account().overturned
    unasked = about[did_from_key(cast.member(38).key)].iloc[0]  # a mistake that its issuer found by itself
    assert (unasked["overturned"], unasked["objected"], unasked["points"]) == (False, False, -20)
    for height, slot in records[["height", "slot"]].drop_duplicates().itertuples(index=False):
        assert story.disk.main[height].header.slot == slot
    ill_famed = about[did_from_key(cast.member(200).key)]
    assert set(ill_famed["tier"]) == {"A"}  # all five in one block: where it stood before any of them
    assert (records["earliest"] <= records["established"]).all()
    assert (records["established"] <= records["slot"]).all()
    assert len(frames.rulings) > 0
    for arbiter, issuer, *counts in frames.rulings.itertuples(index=False):
        with open_view(path) as view:
            entry = view.state.get(rulings_key(key_from_did(arbiter), key_from_did(issuer)))
        assert tuple(counts) == tuple(entry)
    ruled = frames.rulings[["upheld", "struck", "silent"]].sum().sum()
    appealed = 3  # of one record a first arbiter and three others ruled
    assert ruled == records["outcome"].isin(["upheld", "struck", "unruled"]).sum() + appealed
    (moved,) = frames.members[frames.members["member"] == did_from_key(cast.member(19).key)].to_dict("records")
    assert (moved["key"], moved["registrar"]) == (did_from_key(cast.heir.key), did_from_key(cast.civil.key))
    for row in frames.members.itertuples():
        assert row.score == story.paper.standing(key_from_did(str(row.member)))[0]


def test_the_suspended_agency_of_the_story_is_reported_with_its_overturned_rate(city: tuple[Rehearsal, Path]) -> None:
    story, path = city
    market = did_from_key(story.cast.market.key)
    suspended = next(event for event in story.paper.events if event.what == "suspended")
    result = CliRunner().invoke(audit, ["--home", str(path), "--json", "--group-by", "registrar"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    worst = document["all_issuers"][0]
    assert (worst["issuer"], worst["filed"], worst["overturned"]) == (market, 21, 3)
    assert worst["overturned_share"] == pytest.approx(3 / 21, rel=1e-5)
    assert (worst["status"], worst["suspended_decided"], worst["suspended_overturned"]) == ("active", 4, 3)
    assert worst["suspended_height"] == suspended.height
    assert [row["suspended_height"] for row in document["all_issuers"][1:]] == [None, None]
    assert document["alerts"] == []  # nobody has a friend on the bench, and no date is made to fit
    assert document["unusual_issuers"] == []  # three of twenty-one beside two others: the rate, but no test, tells


@pytest.mark.parametrize("group_by", ["registrar", "tier"])
def test_groups_the_chain_knows_need_no_file(city: tuple[Rehearsal, Path], group_by: str, tmp_path: Path) -> None:
    story, path = city
    result = CliRunner().invoke(audit, ["--home", str(path), "--group-by", group_by, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    tests = pd.read_csv(tmp_path / "issuers.csv")
    groups = set(tests.loc[tests["kind"] == "biased", "other"])
    assert groups == ({did_from_key(story.cast.civil.key)} if group_by == "registrar" else {"A"})
    assert len(pd.read_csv(tmp_path / "records.csv")) == story.counts["filed"]
