from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Hashable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.content.actions import Enrol, Rate
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from scripts.audit import audit
from scripts.audit_parts import published
from scripts.audit_parts.fairness import fairness_goodness, leave_one_out, rev2_fairness, scaled
from scripts.audit_parts.frames import RATING_TYPES, Frames, edges_of, read_csv, read_groups, standing
from scripts.audit_parts.home import read_home
from scripts.audit_parts.issuers import MIN_RECORDS, audit_issuers, unusual
from scripts.audit_parts.manual import Measured, plots, write_manual
from scripts.audit_parts.measures import measure_rings, measure_sybils
from scripts.audit_parts.planted import DAY_SLOTS, RINGS, Population, Ring, merged, plant_issuers, plant_rings
from scripts.audit_parts.plots import save
from scripts.audit_parts.published import data_set, labels
from scripts.audit_parts.report import make_audit, write_files
from scripts.audit_parts.rings import fed_by_rings, find_rings
from scripts.audit_parts.trust import RESTART, compare, earliest, eigentrust, official_seeds
from scripts.chain_view import open_view
from scripts.replay import SAMPLE
from tests.support.homes import record, write_home
from tests.support.world import Actor, World

WEEK = 7 * DAY_SLOTS


def ratings_of(*rows: tuple[str, str, int], spacing_s: float = 60.0) -> pd.DataFrame:
    """Ratings one after the other."""
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in RATING_TYPES.items()})
    return merged(empty, [(*row, number * spacing_s) for number, row in enumerate(rows)])


def row_of(frame: pd.DataFrame, **where: object) -> dict[Hashable, Any]:
    """The one row with these values."""
    chosen = np.logical_and.reduce([frame[name] == value for name, value in where.items()])
    (row,) = frame[chosen].to_dict("records")
    return row


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return read_csv(SAMPLE)


# ---------------------------------------------------------------------------------------------------- the frames


def test_a_csv_with_and_without_its_header_gives_the_same_ratings(tmp_path: Path) -> None:
    lines = "6,2,4,1289241911.7\n6,5,-2,1289241941.5\n"
    (tmp_path / "bare.csv").write_text(lines)
    (tmp_path / "headed.csv").write_text("FROM_NODE,TO_NODE,TRUST_INDEX,TIME_SINCE_EPOCH\n" + lines)
    bare = read_csv(tmp_path / "bare.csv")
    assert bare[["rater", "subject", "points"]].values.tolist() == [["6", "2", 4], ["6", "5", -2]]
    pd.testing.assert_frame_equal(bare, read_csv(tmp_path / "headed.csv"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1,2,3,4\n1,2,11,4\n", "line 2"),
        ("1,2,x,4\n1,2,3\n", "line 2"),
        ("", "csv"),
        ("a,b,c,d\n", "empty"),
    ],
)
def test_a_wrong_csv_is_refused_with_its_place(tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "wrong.csv").write_text(text)
    with pytest.raises(OperatorError, match=names):
        read_csv(tmp_path / "wrong.csv")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Three members; the first changes its mind about the second.  Their dids."""
    world = World(validators=4, seed=5)
    disk = record(world.hosts[0])
    a, b, c = actors = [Actor(world.genesis, 100 + number) for number in range(3)]
    world.run(4)
    world.submit(0, [actor.sign(Enrol()) for actor in actors])
    world.run(4)
    world.submit(0, [a.sign(Rate(b.key, 1, 7)), b.sign(Rate(c.key, 1, 5))])
    world.run(6)
    world.submit(0, [a.sign(Rate(b.key, 1, -3))])
    world.run(12)
    home = write_home(tmp_path_factory.mktemp("audit") / "home", world, disk)
    return home, [did_from_key(actor.key) for actor in actors]


def test_a_chain_gives_every_rating_with_its_block_and_only_the_last_one_stands(home: tuple[Path, list[str]]) -> None:
    path, (a, b, c) = home
    genesis = load_genesis(path / "genesis.json")
    with open_view(path) as view:
        ratings = read_home(view, lambda _: None).ratings
    reader = Reader(path / DATABASE, genesis)
    assert sorted(ratings[["rater", "subject", "points"]].values.tolist()) == sorted([[a, b, 7], [b, c, 5], [a, b, -3]])
    for height, slot, time in ratings[["height", "slot", "time"]].itertuples(index=False):
        block = reader.block_at(height)
        assert block is not None
        assert (block.header.slot, genesis.slot_start_ms(slot) / 1000) == (slot, time)
    reader.close()
    assert sorted(standing(ratings)["points"]) == [-3, 5]


def test_the_command_reports_a_chain_and_leaves_it_as_it_was(home: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, (a, *_) = home
    before = sha256((path / DATABASE).read_bytes()).digest()
    result = CliRunner().invoke(audit, ["--home", str(path), "--json", "--trusted", a, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["ratings"], document["standing_ratings"], document["records"]) == (3, 2, 0)
    assert document["seeds"] == [a]
    assert document["most_trusted"][0]["member"] == a
    scores = {row["member"]: row["score"] for row in document["most_trusted"]}
    assert scores[home[1][1]] == load_genesis(path / "genesis.json").policy.score(0, -3)
    assert len(pd.read_csv(tmp_path / "trust.csv")) == 3
    assert sha256((path / DATABASE).read_bytes()).digest() == before


def test_the_command_prints_tables_of_the_sample() -> None:
    result = CliRunner().invoke(audit, ["--ratings-csv", str(SAMPLE), "--limit", "3", "--trusted", "1"])
    assert result.exit_code == 0, result.output
    assert "1,500, 1,500" in result.stdout
    assert "Members by trust" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--home", "a", "--ratings-csv", "b"],
        ["--home", "a", "--measure", "rings"],
        ["--ratings-csv", "a", "--at-height", "3"],
        ["--check", "a"],
        ["--ratings-csv", "a", "--group-by", "tier"],
        ["--home", "a", "--groups", "b", "--group-by", "tier"],
        ["--ratings-csv", "a", "--write"],
    ],
)
def test_arguments_that_do_not_go_together(arguments: list[str]) -> None:
    assert CliRunner().invoke(audit, arguments).exit_code == 2


def test_help_does_not_wait_for_the_libraries() -> None:
    check = (
        "import sys, scripts.audit; sys.exit(any(name in sys.modules for name in ('pandas', 'scipy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[3], check=False).returncode == 0


# --------------------------------------------------------------------------------------------------------- trust


def test_trust_is_the_stationary_distribution_of_the_walk() -> None:
    edges = edges_of(
        ratings_of(("a", "b", 6), ("a", "c", 2), ("b", "c", 5), ("c", "a", 1), ("c", "d", 3), ("b", "a", -9))
    )
    a, _, _, d = range(4)
    step = np.array([[0, 0.75, 0.25, 0], [0, 0, 1, 0], [0.25, 0, 0, 0.75], [1, 0, 0, 0]])  # d trusts nobody: back to a
    start = np.eye(4)[a]
    expected = np.linalg.solve(np.eye(4) - (1 - RESTART) * step.T, RESTART * start)
    found = eigentrust(edges, np.array([a]))
    assert list(edges.members) == ["a", "b", "c", "d"]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.sum() == pytest.approx(1)
    assert found[d] > 0


def test_sybils_lift_their_master_by_points_but_not_by_trust(sample: pd.DataFrame) -> None:
    measured = measure_sybils(sample, counts=(0, 50))
    alone, praised = (row_of(measured, duped=0, sybils=count) for count in (0, 50))
    assert praised["points"] == alone["points"] + 500
    assert praised["rank_points"] == 1 < alone["rank_points"]
    assert praised["rank_trust"] == alone["rank_trust"]
    assert praised["trust"] == pytest.approx(alone["trust"], rel=0.01)
    assert row_of(measured, duped=5, sybils=50)["trust"] > alone["trust"]  # what the duped give away does arrive


def captured(sample: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Ten keys that come first and praise one another, then everybody else."""
    ring = [f"ring-{number}" for number in range(10)]
    praise = [(one, other, 10, 0.0) for one in ring for other in ring if one != other]
    ratings = merged(sample.head(0), praise)
    return pd.concat([ratings, sample], ignore_index=True), ring


def test_who_comes_first_is_not_trusted_for_it(sample: pd.DataFrame) -> None:
    ratings, ring = captured(sample)
    office = "35"
    found = make_audit(Frames(ratings, officers=(office, "did:key:elsewhere")), WEEK)
    assert found.trust.loc[found.trust["seed"], "member"].tolist() == [office]
    of_ring = found.trust["member"].isin(ring)
    assert (found.trust.loc[of_ring, "trust"] == 0).all()
    assert not set(found.trust.head(10)["member"]) & set(ring)
    # What the default was once: the ring ranks first of all.
    assert set(compare(ratings, earliest(ratings)).head(10)["member"]) == set(ring)


def test_authorities_that_rate_nobody_lend_trust_by_the_records_that_stand(sample: pd.DataFrame) -> None:
    ratings, ring = captured(sample)
    rows = [("office", "1", 5, "standing"), ("office", "2", 5, "struck"), ("office", "3", -5, "standing")]
    rows += [("nobody", ring[0], 5, "standing")]
    records = pd.DataFrame(rows, columns=["issuer", "subject", "points", "outcome"])
    assert official_seeds(Frames(ratings, records, officers=("office",))) == ["1"]


def test_without_anybody_to_trust_no_trust_is_told(sample: pd.DataFrame) -> None:
    found = make_audit(Frames(sample), WEEK)
    assert (len(found.trust), found.member_count) == (0, 381)
    result = CliRunner().invoke(audit, ["--ratings-csv", str(SAMPLE)])
    assert (result.exit_code, "--trusted" in result.stdout, "EigenTrust" in result.stdout) == (0, True, False)


def test_a_seed_has_to_be_a_member(sample: pd.DataFrame) -> None:
    with pytest.raises(OperatorError, match="seed nobody"):
        compare(sample, ["1", "nobody"])


# ------------------------------------------------------------------------------------------------------ fairness


def test_fairness_and_goodness_of_an_example_by_hand() -> None:
    edges = scaled(edges_of(ratings_of(("a", "x", 10), ("b", "x", 10), ("c", "x", -10))))
    fairness, goodness = fairness_goodness(edges)
    by_name = dict(zip(edges.members, fairness, strict=True))
    good = goodness[edges.positions(["x"])[0]]
    fair, unfair = 1 - (1 - good) / 2, 1 - (1 + good) / 2
    assert by_name["a"] == by_name["b"] == pytest.approx(fair, abs=1e-5)
    assert by_name["c"] == pytest.approx(unfair, abs=1e-5)
    assert good == pytest.approx((2 * fair - unfair) / 3, abs=1e-5)


def test_raters_who_agree_are_fair_and_the_one_who_does_not_is_less_so(sample: pd.DataFrame) -> None:
    edges = scaled(
        edges_of(ratings_of(*[(f"r{n}", f"s{m}", 10) for n in range(5) for m in range(3)], ("bad", "s0", -10)))
    )
    for fairness in (fairness_goodness(edges)[0], rev2_fairness(edges, 1, 1, 1, 1)):
        bad = fairness[edges.positions(["bad"])[0]]
        assert bad < fairness[edges.positions([f"r{n}" for n in range(5)])].min() - 0.2


def test_a_rating_left_out_is_foretold_without_it(sample: pd.DataFrame) -> None:
    edges = scaled(edges_of(sample))
    at = 700
    predicted, actual = leave_one_out(edges, np.array([at]))
    without = edges.keep(np.delete(np.arange(len(edges.points)), at))
    fairness, goodness = fairness_goodness(without)
    assert predicted[0] == pytest.approx(fairness[edges.rater[at]] * goodness[edges.subject[at]], abs=1e-4)
    assert actual[0] == edges.points[at]


# --------------------------------------------------------------------------------------------------------- rings


@pytest.mark.parametrize(("kind", "least"), [(RINGS[0], 1.0), (RINGS[1], 0.9)])
def test_planted_rings_are_found(sample: pd.DataFrame, kind: Ring, least: float) -> None:
    row = row_of(measure_rings(sample, seeds=[1], sizes=[8]), rings=kind.name)
    assert row["recall"] >= least
    assert row["precision_new"] >= least


def test_ratings_given_to_others_hide_no_ring(sample: pd.DataFrame) -> None:
    data, planted = plant_rings(sample, replace(RINGS[0], camouflage=0), 6, 1, seed=4)
    found = next(set(ring) for ring in find_rings(data)["members"] if set(ring) & planted)
    generous = merged(data, [(one, other, 3, 2e9) for one in planted for other in sample["subject"].unique()[:40]])
    assert found == planted
    assert planted in [set(ring) for ring in find_rings(generous)["members"]]


def test_three_friends_and_a_star_are_no_rings() -> None:
    friends = [(one, other, 5) for one in "abc" for other in "abc" if one != other]
    star = [row for leaf in "vwxyz" for row in (("hub", leaf, 5), (leaf, "hub", 5))]
    assert find_rings(ratings_of(*friends, *star)).empty
    four = [(one, other, 5) for one in "abcd" for other in "abcd" if one != other]
    assert find_rings(ratings_of(*four, *star))["members"].tolist() == [("a", "b", "c", "d")]


def test_a_ring_that_takes_its_time_is_no_burst(sample: pd.DataFrame) -> None:
    shares = {}
    for days in (1, 60):
        data, planted = plant_rings(sample, replace(RINGS[0], days=days), 6, 1, seed=2)
        rings = find_rings(data)
        shares[days] = rings[[set(ring) == planted for ring in rings["members"]]].iloc[0]["p_burst"]
    assert shares[1] < 1e-6 < shares[60]


def test_who_lives_on_the_support_of_a_ring_is_named() -> None:
    ring = [(one, other, 5) for one in "abcd" for other in "abcd" if one != other]
    ratings = ratings_of(*ring, ("a", "fed", 9), ("x", "fed", 3), ("b", "x", 2), ("y", "x", 8), ("x", "y", 1))
    fed = fed_by_rings(ratings, find_rings(ratings))
    assert set(fed["member"]) == {*"abcd", "fed"}
    beneficiary = row_of(fed, member="fed")
    assert (beneficiary["share"], beneficiary["in_ring"]) == (0.75, False)


# ------------------------------------------------------------------------------------------------------- issuers


@pytest.fixture(scope="module")
def bad() -> Population:
    return plant_issuers(12, seed=77)


def found_in(population: Population, groups: pd.Series | None) -> set[tuple[str, str]]:
    tests = unusual(audit_issuers(population.records, WEEK, groups))
    return {
        (kind, f"{issuer}+{other}" if kind == "collusion" else issuer)
        for kind, issuer, other in tests[["kind", "issuer", "other"]].itertuples(index=False)
    }


def test_planted_issuers_are_found_and_hardly_anybody_else(bad: Population) -> None:
    found = found_in(bad, bad.groups)
    assert bad.planted <= found
    assert len(found - bad.planted) <= 1


def test_honest_issuers_are_not_reported() -> None:
    honest = plant_issuers(1, seed=78)
    assert found_in(honest, honest.groups) == set()


def test_nothing_is_asked_about_groups_that_nobody_named(bad: Population) -> None:
    assert "biased" not in {kind for kind, _ in found_in(bad, None)}


def test_who_filed_little_is_not_judged(bad: Population) -> None:
    few = bad.records.groupby("issuer").head(MIN_RECORDS - 1)
    assert audit_issuers(few, WEEK, bad.groups).empty


def test_one_issuer_has_nobody_to_be_compared_with(bad: Population) -> None:
    alone = bad.records[bad.records["issuer"] == bad.records["issuer"].iloc[0]]
    assert audit_issuers(alone, WEEK, bad.groups).empty


def test_the_evidence_counts_what_is_in_the_records(bad: Population) -> None:
    tests = audit_issuers(bad.records, WEEK)
    worst = tests[tests["kind"] == "overturned"].iloc[0]
    own = bad.records[bad.records["issuer"] == worst["issuer"]]
    lost = int((own["outcome"] != "standing").sum())
    assert worst["evidence"].startswith(f"{lost} of {len(own)} records")
    assert worst["observed"] == lost > 3 * worst["expected"]


def test_findings_about_issuers_are_written_and_drawn(bad: Population, sample: pd.DataFrame, tmp_path: Path) -> None:
    written = write_files(make_audit(Frames(sample.head(150), bad.records), WEEK, ["1"]), tmp_path / "new")
    assert {path.name for path in written} >= {"issuers.csv", "issuers.svg", "trust.svg"}
    assert all(path.read_text().rstrip().endswith("</svg>") for path in written if path.suffix == ".svg")
    assert pd.read_csv(tmp_path / "new" / "issuers.csv")["q"].min() < 1e-6


def test_groups_name_each_member_once(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("a,north\nb,south\n")
    assert read_groups(path).to_dict() == {"a": "north", "b": "south"}
    path.write_text("a,north\na,south\n")
    with pytest.raises(OperatorError, match="once"):
        read_groups(path)


def test_who_is_alone_in_its_categories_is_compared_with_what_the_others_do_in_theirs() -> None:
    def filed(issuer: str, category: int, lost: int) -> pd.DataFrame:
        rows = pd.DataFrame({"slot": range(100), "overturned": [at < lost for at in range(100)]})
        return rows.assign(issuer=issuer, category=category, subject=issuer, points=-1, objected=True)

    honest = [filed(issuer, category, 2) for category, issuer in enumerate("acdef")]
    records = pd.concat([filed("b", 9, 30), *honest], ignore_index=True)
    tests = audit_issuers(records, WEEK)
    wrong = row_of(tests, kind="overturned", issuer="b")
    assert wrong["expected"] == pytest.approx(100 * 10.5 / 501)
    assert unusual(tests[tests["kind"] == "overturned"])["issuer"].tolist() == ["b"]


def test_meetings_over_a_member_are_counted_as_joining_all_records_would(bad: Population) -> None:
    records = bad.records[bad.records["issuer"].isin(bad.records["issuer"].unique()[:12])]
    joined = records.merge(records, on="subject")
    near = joined[(joined["slot_x"] - joined["slot_y"]).abs() <= WEEK]
    met = near.groupby(["issuer_x", "issuer_y"])["subject"].agg(["size", "nunique"])
    tests = audit_issuers(records, WEEK)
    for one, other, observed, evidence in tests.loc[
        tests["kind"] == "collusion", ["issuer", "other", "observed", "evidence"]
    ].itertuples(index=False):
        times, members = met.loc[(one, other)] if (one, other) in met.index else (0, 0)
        assert observed == times
        assert f"({members} members)" in evidence
    assert (tests["kind"] == "collusion").sum() == 66


def test_a_member_with_ever_so_many_records_is_no_reason_to_join_them_all() -> None:
    count = 200_000  # joined, these would be ten thousand million rows
    records = pd.DataFrame({"issuer": ["a", "b"] * (count // 2), "subject": "one", "category": 1, "points": -1})
    records = records.assign(slot=range(count), overturned=False, objected=False)
    tests = audit_issuers(records, 1)
    assert row_of(tests, kind="collusion")["observed"] == count - 1


# ----------------------------------------------------------------------------------------------------- published


def test_labels_follow_from_the_founder_and_those_it_trusts() -> None:
    ratings = ratings_of(
        ("1", "friend", 5), ("1", "acquaintance", 4), ("friend", "good", 6), ("friend", "thief", -5),
        ("acquaintance", "unknown", -10), ("1", "disputed", 7), ("friend", "disputed", -8), ("friend", "weak", -4),
    )  # fmt: skip
    assert labels(ratings).to_dict() == {"1": False, "friend": False, "good": False, "thief": True}
    with pytest.raises(OperatorError, match="no labels"):
        labels(ratings_of(("7", "8", 10)))


def test_only_what_is_between_the_marks_of_the_manual_is_written(sample: pd.DataFrame, tmp_path: Path) -> None:
    manual = tmp_path / "manual.md"
    few, _ = plant_rings(sample.head(150), RINGS[0], 5, 2, seed=1)
    rings = pd.DataFrame([("open", 4, 1.0, 0.5, 0.25)], columns=["rings", "size", "recall", "precision_new", "p"])
    issuers = pd.DataFrame([("burst", 6.0, 0.9)], columns=["question", "strength", "recall"])
    measured = Measured(few, {"rings": {"Rings": rings}, "issuers": {"Issuers": issuers}})
    manual.write_text("no marks")
    with pytest.raises(OperatorError, match="rings, unknown data"):
        write_manual(measured, manual)
    of = data_set(few)
    marks = [
        (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in (f"rings, {of}", "issuers, made-up records")
    ]
    manual.write_text("before\n" + "between\n".join(f"{begin}\nold\n{end}\n" for begin, end in marks) + "after\n")
    write_manual(measured, manual)
    text = manual.read_text()
    assert (text.startswith("before\n<!--"), text.endswith("-->\nafter\n"), "old" in text) == (True, True, False)
    assert "| burst | 6 | 0.9 |" in text
    assert f"### Rings: {of}" in text
    assert "between" in text
    write_manual(measured, manual)
    assert manual.read_text() == text
    assert not list(tmp_path.glob("*.svg"))  # the plots are of Bitcoin OTC alone


def test_plots_of_the_manual_are_the_same_bytes_again(sample: pd.DataFrame, tmp_path: Path) -> None:
    few, _ = plant_rings(sample.head(150), RINGS[0], 5, 2, seed=1)
    rings = pd.DataFrame([("open", 4, 1.0, 0.5, 0.25)], columns=["rings", "size", "recall", "precision_new", "p"])
    issuers = pd.DataFrame([("burst", 6.0, 0.9)], columns=["question", "strength", "recall"])
    praise = pd.DataFrame([(0, 5, 52, 3, 4)], columns=["duped", "sybils", "points", "rank_points", "rank_trust"])
    drawn = [{name: bytes_of_plot(plot, tmp_path) for name, plot in plots(few, rings, issuers, praise)} for _ in "ab"]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 3


def bytes_of_plot(plot: Figure, folder: Path) -> bytes:
    save(plot, folder / "plot.svg")
    return (folder / "plot.svg").read_bytes()


def test_figures_of_other_data_stand_beside_nothing_published(
    sample: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(_ratings: pd.DataFrame, _every: int) -> list[published.Figure]:
        return [published.Figure("auc", "0.9", "0.895", "")]

    monkeypatch.setattr(published, "_figures", figures)
    first, second = published.measure_published(sample)
    assert (first.measured, second.published) == ("unknown data: 1,500 ratings, 381 members", "-")
    monkeypatch.setattr(published, "data_set", lambda _: published.OTC)
    first, second = published.measure_published(sample)
    assert (first.measured, second.published) == ("Bitcoin OTC", "0.895")


def test_data_are_known_by_what_they_say_and_not_by_their_size(
    sample: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = sorted(f"{rater},{subject},{points}" for rater, subject, points in sample.iloc[:, [0, 1, 3]].to_numpy())
    digest = sha256("\n".join(said).encode()).hexdigest()
    monkeypatch.setattr(published, "_DATA_SETS", {digest: "the sample"})
    assert published.data_set(sample.iloc[::-1]) == "the sample"
    other = sample.assign(points=sample["points"].where(sample.index > 0, 1))
    assert published.data_set(other).startswith("unknown data")


def test_measuring_a_part_says_which_data_it_is_of(tmp_path: Path) -> None:
    result = CliRunner().invoke(audit, ["--ratings-csv", str(SAMPLE), "--measure", "praise"])
    assert result.exit_code == 0, result.output
    assert "unknown data: 1,500 ratings, 381 members" in result.stdout
    assert CliRunner().invoke(audit, ["--ratings-csv", str(SAMPLE), "--measure", "nothing"]).exit_code == 2
