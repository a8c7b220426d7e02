"""Each alert of ``scripts/audit.py`` on what it is for, and its silence on what is ordinary."""

from __future__ import annotations

import pandas as pd
import pytest

from scripts.audit_parts.alerts import find_alerts
from scripts.audit_parts.frames import RATING_TYPES, RECORD_TYPES, empty, frame_of, read_csv
from scripts.audit_parts.planted import plant_issuers
from scripts.audit_parts.rings import find_rings
from scripts.replay import SAMPLE

NO_RATINGS, NO_RECORDS = empty(RATING_TYPES), empty(RECORD_TYPES)
WINDOW = 100


def ratings_of(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return frame_of([(rater, subject, 1, points, 0, 0, 0.0) for rater, subject, points in rows], RATING_TYPES)


def records_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Issuer, member and outcome, one after the other."""
    made = [
        (issuer, subject, 1, -5, 1, number, number, "A", outcome, False, False)
        for number, (issuer, subject, outcome) in enumerate(rows)
    ]
    return frame_of(made, RECORD_TYPES)


def alerts(ratings: pd.DataFrame = NO_RATINGS, records: pd.DataFrame = NO_RECORDS) -> list[tuple[str, str, int, int]]:
    found = find_alerts(ratings, records, find_rings(ratings), WINDOW)
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


def test_honest_issuers_and_real_ratings_raise_few_alerts() -> None:
    assert alerts(records=plant_issuers(1, seed=78).records) == []
    found = alerts(read_csv(SAMPLE))
    assert {kind for kind, *_ in found} <= {"flood", "early-seed capture"}
    assert len(found) <= 3
