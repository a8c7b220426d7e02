"""Each alert of ``scripts/audit.py`` on what it is for, and its silence on what is ordinary."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scripts.audit_parts.alerts import find_alerts
from scripts.audit_parts.frames import RATING_TYPES, RECORD_TYPES, RULING_TYPES, Frames, empty, frame_of, read_csv
from scripts.audit_parts.planted import plant_issuers
from scripts.audit_parts.rings import find_rings
from scripts.replay import SAMPLE

NO_RATINGS, NO_RECORDS, NO_RULINGS = empty(RATING_TYPES), empty(RECORD_TYPES), empty(RULING_TYPES)
WINDOW = 100


def ratings_of(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return frame_of([(rater, subject, 1, points, 0, 0, 0.0) for rater, subject, points in rows], RATING_TYPES)


def records_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Issuer, member and outcome, one after the other."""
    made = [
        (issuer, subject, 1, -5, 1, number, number, "A", outcome, False, False, number, number)
        for number, (issuer, subject, outcome) in enumerate(rows)
    ]
    return frame_of(made, RECORD_TYPES)


def alerts(
    ratings: pd.DataFrame = NO_RATINGS, records: pd.DataFrame = NO_RECORDS, rulings: pd.DataFrame = NO_RULINGS
) -> list[tuple[str, str, int, int]]:
    found = find_alerts(Frames(ratings, records, rulings=rulings), find_rings(ratings), WINDOW)
    return [(kind, who, count, of) for kind, who, count, of, _ in found.itertuples(index=False)]


def ordinary(count: int = 30) -> list[tuple[str, str, int]]:
    """Everybody rates the next few."""
    return [(f"m{one}", f"m{(one + step) % count}", 2) for one in range(count) for step in (1, 2)]


def test_one_key_that_rates_everybody_in_a_day_is_a_flood() -> None:
    flood = [("noisy", f"m{number}", -1) for number in range(30)] + [
        ("noisy", f"n{number}", -1) for number in range(30)
    ]
    assert alerts(ratings_of(*ordinary(), *flood)) == [("flood", "noisy", 60, 60)]


def test_an_issuer_that_files_at_once_what_others_file_in_months_is_a_flood() -> None:
    slowly = [(f"office{number}", f"m{number}", "standing") for number in range(100)]
    at_once = [("noisy", f"m{number}", "standing") for number in range(60)]
    assert alerts(records=records_of(*slowly, *at_once)) == [("flood", "noisy", 60, 60)]


def test_a_ring_that_came_first_is_a_capture_and_one_that_came_late_is_not() -> None:
    ring = [(f"r{one}", f"r{other}", 10) for one in range(6) for other in range(6) if one != other]
    (found,) = alerts(ratings_of(*ring, *ordinary()))
    assert (found[0], found[2:]) == ("early-seed capture", (6, 6))
    assert alerts(ratings_of(*ordinary(), *ring)) == []


@pytest.mark.parametrize("ended", ["struck", "lapsed", "unruled", "withdrawn", "repaired"])
def test_what_ended_and_is_filed_again_is_refiling(ended: str) -> None:
    first = [("office", f"m{number}", ended) for number in range(4)]
    again = [("office", f"m{number}", "standing") for number in range(4)]
    assert alerts(records=records_of(*first, *again)) == [("refiling", "office", 4, 8)]
    assert alerts(records=records_of(*again, *first)) == []  # those before had not ended
    assert alerts(records=records_of(*first, *[("other", who, what) for _, who, what in again])) == []


def test_filing_and_withdrawing_is_reported_and_a_mistake_now_and_then_is_not() -> None:
    habit = [("office", f"m{number}", "withdrawn" if number < 6 else "standing") for number in range(20)]
    now_and_then = [("other", f"m{number}", "withdrawn" if number < 6 else "standing") for number in range(40)]
    assert alerts(records=records_of(*habit, *now_and_then)) == [("file-and-withdraw", "office", 6, 20)]


def rulings_of(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    """Arbiter, issuer, upheld and struck."""
    return frame_of([(*row, 0) for row in rows], RULING_TYPES)


OTHERS = [(f"arbiter{one}", f"office{other}", 5, 5) for one in range(4) for other in range(4)]


def test_an_arbiter_who_upholds_one_issuer_only_is_half_of_a_pair() -> None:
    pair = [("friend", "office0", 20, 0), ("friend", "office1", 3, 9), ("friend", "office2", 4, 9)]
    assert alerts(rulings=rulings_of(*OTHERS, *pair)) == [("issuer-arbiter pair", "friend", 20, 20)]
    (found,) = find_alerts(Frames(NO_RATINGS, rulings=rulings_of(*OTHERS, *pair)), find_rings(NO_RATINGS), 1)["reason"]
    assert "records of office0 upheld; of other issuers 7 of 25, by other arbiters 20 of 40; p = " in found


def test_who_upholds_everybody_or_whom_everybody_upholds_is_no_pair() -> None:
    lenient = [("lenient", f"office{other}", 20, 1) for other in range(4)]
    sound = [(f"arbiter{one}", "sound", 20, 1) for one in range(4)]
    few = [("rare", "office0", 4, 0), ("rare", "office1", 0, 40)]
    for rows in (lenient, sound, few):
        assert alerts(rulings=rulings_of(*OTHERS, *rows)) == []


def test_among_many_honest_arbiters_there_is_hardly_ever_a_pair() -> None:
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(50):
        upheld = rng.binomial(20, 0.6, (8, 8)).tolist()
        rows = [(f"a{a}", f"i{i}", count, 20 - count) for a, row in enumerate(upheld) for i, count in enumerate(row)]
        alarms += len(alerts(rulings=rulings_of(*rows)))
    assert alarms <= 1


def dated(issuer: str, slot: int, established: int, earliest: int, points: int = -5) -> tuple[object, ...]:
    return issuer, f"{issuer} {slot}", 1, points, 1, slot, slot, "A", "standing", False, False, established, earliest


def test_dates_just_inside_what_would_be_taken_are_reported_and_prompt_ones_are_not() -> None:
    made_to_fit = [dated("office", 10_000 + at, 9_000 + at + at % 40, 9_000 + at) for at in range(20)]
    prompt = [dated("prompt", 10_000 + at, 9_995 + at, 9_000 + at) for at in range(20)]
    anywhere = [dated("slow", 10_000 + at, 9_025 + 50 * at, 9_000 + at) for at in range(20)]
    records = frame_of([*made_to_fit, *prompt, *anywhere], RECORD_TYPES)
    assert alerts(records=records) == [("edge dating", "office", 20, 20)]


def test_a_member_who_just_came_can_only_be_recorded_for_what_was_just_now() -> None:
    newcomers = [dated("office", 10_000 + at, 9_990 + at, 9_990 + at) for at in range(20)]
    assert alerts(records=frame_of(newcomers, RECORD_TYPES)) == []


def test_conduct_that_lies_far_further_back_than_an_office_usually_needs_is_reported() -> None:
    usual = [dated("office", 100_000 + at, 99_900 + at, 0) for at in range(36)]
    long_ago = [dated("office", 100_000 + at, 50_000 + at, 0) for at in range(4)]
    slow = [dated("slow", 100_000 + at, 40_000 + at, 0) for at in range(40)]  # its habit
    praise = [dated("kind", 100_000 + at, (99_900 if at < 30 else 50_000) + at, 0, points=5) for at in range(40)]
    records = frame_of([*usual, *long_ago, *slow, *praise], RECORD_TYPES)
    assert alerts(records=records) == [("late dating", "office", 4, 40)]


def test_honest_issuers_and_real_ratings_raise_few_alerts() -> None:
    assert [alerts(records=plant_issuers(1, seed=seed).records) for seed in range(78, 83)] == [[]] * 5
    found = alerts(read_csv(SAMPLE))
    assert {kind for kind, *_ in found} <= {"flood", "early-seed capture"}
    assert len(found) <= 3
