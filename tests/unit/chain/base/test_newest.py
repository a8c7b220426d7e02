from __future__ import annotations

from chain.base.newest import Newest


def filled(most: int, keys: str) -> Newest[str, int]:
    newest: Newest[str, int] = Newest(most)
    for number, key in enumerate(keys):
        newest[key] = number
    return newest


def test_the_oldest_goes_where_there_is_one_too_many() -> None:
    assert dict(filled(3, "abcde")) == {"c": 2, "d": 3, "e": 4}


def test_what_is_here_keeps_its_age_unless_it_is_renewed() -> None:
    assert list(filled(2, "abac")) == ["b", "c"]
    newest = filled(2, "ab")
    newest.renew("a", 7)
    newest["c"] = 8
    assert dict(newest) == {"a": 7, "c": 8}


def test_it_is_bounded_by_whatever_way_things_come_in() -> None:
    newest = filled(2, "a")
    newest.update(dict.fromkeys("bcd", 0))
    newest.setdefault("e", 5)
    assert dict(newest) == {"d": 0, "e": 5}
