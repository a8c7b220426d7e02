"""Documents read field by field: what fits comes back, what does not is a mistake that says where."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from chain.content.tables import MAX_TEXT_CHARACTERS, FieldPath, Mistake, Table, line_of

COLOURS = ("red", "green", "blue")


def table(**fields: Any) -> Table:
    return Table(fields, ["a", "b"], ("top",))


def mistake(read: Callable[[], object]) -> str:
    with pytest.raises(Mistake) as caught:
        read()
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ((), "the document is wrong"),
        (("score",), "score is wrong"),
        (("category", 0, "name"), "category[1].name is wrong"),
        ((2,), "[3] is wrong"),
    ],
)
def test_a_mistake_says_where_it_is(path: FieldPath, written: str) -> None:
    made = Mistake(path, "is wrong")
    assert (str(made), made.path, made.problem) == (written, path, "is wrong")


@pytest.mark.parametrize("value", [None, 3, "text", [], [("a", 1)]])
def test_a_table_is_a_mapping(value: object) -> None:
    assert mistake(lambda: Table(value, ["a"])) == "the document must be a table"


def test_fields_that_nobody_knows_are_named_with_those_that_are_known() -> None:
    assert mistake(lambda: table(z=1, c=2, a=3)) == "top.c is not known; remove it or choose from a, b"
    assert str(table(a=1).mistake("b", "is missing")) == "top.b is missing"


def test_integers_have_bounds() -> None:
    assert [table(a=value).integer("a", -2, 7) for value in (-2, 0, 7)] == [-2, 0, 7]
    assert (table().integer("a", 0, 7, 5), table(a=6).integer("a", 0, 7, 5)) == (5, 6)
    assert "must be an integer" in mistake(lambda: table().integer("a", 0, 7))


@pytest.mark.parametrize("value", [-3, 8, True, 1.0, "1", None, 2**70])
def test_other_integers_are_a_mistake(value: object) -> None:
    assert mistake(lambda: table(a=value).integer("a", -2, 7)) == "top.a must be an integer from -2 to 7"


def test_flags_are_off_where_they_are_left_out() -> None:
    assert [table(a=True).flag("a"), table(a=False).flag("a"), table().flag("a")] == [True, False, False]


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_other_flags_are_a_mistake(value: object) -> None:
    assert mistake(lambda: table(a=value).flag("a")) == "top.a must be true or false"


@pytest.mark.parametrize("value", ["x", "ä" * MAX_TEXT_CHARACTERS, "two words", "😀"])
def test_texts_are_printable_and_short(value: str) -> None:
    assert table(a=value).text("a") == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * (MAX_TEXT_CHARACTERS + 1),
        "a\nb",
        "\x00",
        "\x7f",
        "\x9f",
        "\u200b",
        "\u202e",
        "\ufeff",
        "\ud800",
        7,
        None,
    ],
)
def test_other_texts_are_a_mistake(value: object) -> None:
    assert "must be a text of 1 to 64 printable characters" in mistake(lambda: table(a=value).text("a"))


def test_a_choice_is_an_index_or_nothing() -> None:
    assert [table(a=colour).choice("a", COLOURS) for colour in COLOURS] == [0, 1, 2]
    assert table().choice("a", COLOURS) is None


@pytest.mark.parametrize("value", ["Red", "", 0, None, ["red"]])
def test_another_choice_is_a_mistake(value: object) -> None:
    assert mistake(lambda: table(a=value).choice("a", COLOURS)) == "top.a must be one of: red, green, blue"
    assert mistake(lambda: table(a=value).choice("a", ())) == "top.a must be one of: none is defined"


def test_choices_are_ascending_indices() -> None:
    assert table(a=["blue", "red"]).choices("a", COLOURS) == (0, 2)
    assert table(a=[]).choices("a", COLOURS) == table().choices("a", COLOURS) == ()


@pytest.mark.parametrize("value", ["red", ["black"], [0], None, [["red"]]])
def test_other_choices_are_a_mistake(value: object) -> None:
    assert mistake(lambda: table(a=value).choices("a", COLOURS)) == "top.a must be a list of some of: red, green, blue"
    assert mistake(lambda: table(a=["x"]).choices("a", ())) == "top.a must be a list of some of: none is defined"


def test_the_same_choice_twice_is_a_mistake() -> None:
    assert mistake(lambda: table(a=["red", "red"]).choices("a", COLOURS)) == "top.a must name nothing twice"


def test_a_table_within_knows_where_it_is() -> None:
    inner = table(a={"c": 9}).table("a", ["c"])
    assert inner.integer("c", 0, 9) == 9
    assert mistake(lambda: inner.integer("c", 0, 8)) == "top.a.c must be an integer from 0 to 8"
    assert mistake(lambda: table(a={"d": 1}).table("a", ["c"])).startswith("top.a.d is not known")
    assert mistake(lambda: table(a=3).table("a", ["c"])) == "top.a must be a table"
    assert table().table("a", ["c"]).flag("c") is False


def test_rows_are_counted_from_one_for_people() -> None:
    first, second = table(a=[{"c": 1}, {"c": 2}]).rows("a", ["c"], 2)
    assert (first.integer("c", 0, 9), second.integer("c", 0, 9)) == (1, 2)
    assert mistake(lambda: second.integer("c", 0, 1)) == "top.a[2].c must be an integer from 0 to 1"
    assert table().rows("a", ["c"], 2) == table(a=[]).rows("a", ["c"], 0) == []


@pytest.mark.parametrize("value", [[{}, {}, {}], {}, "rows", None])
def test_other_rows_are_a_mistake(value: object) -> None:
    assert mistake(lambda: table(a=value).rows("a", ["c"], 2)) == "top.a must be a list of at most 2 tables"


def test_a_row_is_a_table() -> None:
    assert mistake(lambda: table(a=[{}, 3]).rows("a", ["c"], 2)) == "top.a[2] must be a table"


TEXT = """\
name = "x"
# a comment

[score]
base = 1000
list = [
    1,
    2,
]

[[category]]
code = 1

[[category]]
code = 2
text = '''
several
lines'''
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 1),
        (("score",), 4),
        (("score", "base"), 5),
        (("score", "list"), 9),
        (("score", "list", 1), 9),
        (("category", 0, "code"), 12),
        (("category", 1), 14),
        (("category", 1, "text"), 18),
        # What is not there is looked for in the table that lacks it.
        (("score", "cap"), 4),
        (("category", 1, "points"), 14),
        (("category", 2, "code"), 11),
        (("nothing",), 1),
        ((), 1),
    ],
)
def test_the_line_on_which_a_value_is_complete(path: FieldPath, line: int) -> None:
    tomllib.loads(TEXT)
    assert line_of(TEXT, path) == line


def test_the_line_of_an_empty_document() -> None:
    assert line_of("", ("name",)) == 1


def test_the_document_begins_on_its_first_line_whatever_goes_on_there() -> None:
    assert line_of("list = [\n1]", ()) == line_of("list = [\n1]", ("name",)) == 1
