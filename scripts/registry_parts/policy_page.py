"""``scripts/docs/policy.md`` and the file that ``policy new`` writes: the language of policies, told by its tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from chain.content.language import (
    CHOICE,
    FLAG,
    LANGUAGE,
    MAX_DAYS,
    NO_LIMIT,
    NUMBER,
    ROWS,
    SCORE_LIMIT,
    TABLE,
    TABLES,
    TEXT,
    Field,
    in_words,
)

PAGE = Path(__file__).parents[1] / "docs" / "policy.md"
_WIDTH = 110

_INTRODUCTION = f"""\
# What a policy can say

    .uv/bin/uv run scripts/registry.py policy reference --write

A policy is a TOML file of language {LANGUAGE}. Every number is an integer, so that every node computes the same score;
times are whole days, at most {MAX_DAYS:,}. Here is every key; the tables are those that the code reads files by.

    .uv/bin/uv run scripts/registry.py policy new FILE.toml         # a commented file that passes
    .uv/bin/uv run scripts/registry.py policy check FILE.toml       # mistakes and warnings, by line
    .uv/bin/uv run scripts/registry.py policy diff OLD.toml NEW.toml  # what an amendment changes, and its notice
    .uv/bin/uv run scripts/testnet.py --policy FILE.toml            # real nodes under it

**amendment** says which way a change is the worse one for members: it takes `worse_notice_days`, and nothing that is
recorded already is touched by it.

Policies to begin with are in `chain/policies/`, each figure with its source: `marketplace` (members rate members),
`municipal` (a city's register), `suppliers` (exclusions that stand while they are disputed; three deficiencies close
a tier: `cap_records`), `licences` (suspensions with deadlines; the licence itself is an attribute: a salted digest that
ends with its term), `maintainers` (receipts, reasons, ratings that end;
`registry.py import VOUCHED.td`).

**Points that fade.** `half_life_days = 365` in a category says that of each of its records half the points are left a
year after the conduct, a quarter after two, and so on, rounded towards 0: of -15 first -7, then -3, -1 and 0. What it
gives fades like what it takes. The record stands until it ends as before, with its tier cap, and can be objected to; an
objection stops no clock. What is left, and when it halves again, is told with the record. A record keeps the half-life
that it was filed under: an amendment changes it for new ones alone, and where those fare worse it says so. At most
twenty halvings make nothing of any points: that is all that a record costs the chain. A rating does not fade, it ends
(`rating_days`): half of what somebody said is not what it said.

A policy cannot say: points that fade in another shape, or those of ratings; thresholds that are stricter for those who
come later (everybody stands under the policy in force, and no amendment raises a threshold); what holds in two
categories and not in a third (a cap counts records of all that cap at its tier).
"""

_HEADINGS = {
    "policy": "The file itself",
    "tier": "`[[tier]]`, at least one",
    "severity": "`[[severity]]`",
    "category": "`[[category]]`",
    "rating": "`[[rating]]`",
    "attribute": "`[[attribute]]`",
}


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([_INTRODUCTION, *(line for name in TABLES for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    yield f"## {_HEADINGS.get(name, f'`[{name}]`')}"
    yield ""
    yield "| key | unit | default | bounds | what it does | amendment | example |"
    yield "|---|---|---|---|---|---|---|"
    for field in TABLES[name]:
        cells = (_unit(field), _default(field), _bounds(field), field.effect, _worse(field), _example(field))
        yield f"| `{field.name}` | {' | '.join(cells)} |"
    yield ""


def _unit(field: Field) -> str:
    return field.unit or {CHOICE: "choice", FLAG: "yes or no", TABLE: "table", ROWS: "tables"}.get(field.kind, "")


def _default(field: Field) -> str:
    if field.kind in (NUMBER, TEXT) and field.usual is None:
        return "**needed**"
    if field.kind == FLAG:
        return "false"
    if field.usual is None:
        return "none"
    if field.choices:
        return f"`{field.choices[field.usual]}`"
    return "no limit" if abs(field.usual) in (NO_LIMIT, SCORE_LIMIT) else f"{field.usual:,}"


def _bounds(field: Field) -> str:
    match field.kind:
        case "choice":
            return " or ".join(f"`{choice}`" for choice in field.choices)
        case "number":
            return f"{field.low:,} to {field.high:,}" if field.low < field.high else f"{field.low:,}"
        case "rows":
            return f"at most {field.high}"
        case "severities":
            return "names of severities"
        case "tier":
            return "the name of a tier"
        case _:
            return ""


def _worse(field: Field) -> str:
    return {1: "worse if raised", -1: "worse if lowered"}.get(field.worse, "")


def _example(field: Field) -> str:
    if field.kind == TABLE:
        return f"`[{field.name}]`"
    if field.kind == ROWS:
        return f"`[[{field.name}]]`"
    return f"`{field.name} = {_value(field)}`"


def _value(field: Field) -> str:
    """A value as TOML has it: the example, or what is usual."""
    if field.example:
        return field.example
    if field.kind == FLAG:
        return "true"
    value = in_words(field, field.usual or 0)
    return f'"{value}"' if isinstance(value, str) else f"{value:_}"


# ------------------------------------------------------------------------------------------------- a new policy

# What a new file says where its keys have no usual value, row by row.
_ROWS: dict[str, tuple[dict[str, str], ...]] = {
    "tier": (
        {"name": '"good"', "from": "100"},
        {"name": '"fair"', "from": "50"},
        {"name": '"poor"', "from": "0"},
    ),
    "severity": (
        {"name": '"minor"', "repair_after_days": "30", "expires_after_days": "365"},
        {"name": '"serious"', "repair_after_days": "365", "expires_after_days": "1_095"},
    ),
    "category": (
        {"code": "1", "name": '"breach of contract"', "min": "-30", "max": "-10", "severities": '["minor", "serious"]',
         "reason": "true"},
        {"code": "2", "name": '"fraud"', "min": "-60", "max": "-60", "severities": '["serious"]', "tier_cap": '"poor"'},
        {"code": "101", "name": '"commendation"', "min": "5", "max": "5", "ceiling": "20"},
    ),
    "rating": ({"code": "1", "name": '"dealing"', "min": "-3", "max": "3"},),
    "attribute": ({"code": "200", "name": '"trade licence"', "valid_days": "366"},),
}  # fmt: skip
# … and in its tables.
_VALUES: dict[str, dict[str, str]] = {
    "policy": {"language": str(LANGUAGE), "version": "1", "enrolment": '"registrar"'},
    "score": {"base": "100", "ratings_floor": "-20", "ratings_cap": "20"},
    "authorities": {"overturned_permille": "500", "overturned_minimum": "4"},
    "quotas": {"member": "50", "fresh": "20", "office": "5_000", "registrar": "500"},
}


def new_policy(name: str) -> str:
    """A commented policy that :mod:`chain.content.policyfile` takes, to be changed; ``name`` is printable."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    values = {**_VALUES["policy"], "name": f'"{quoted}"'}
    lines = [
        "# Every key is told in scripts/docs/policy.md.  Say beside each figure where it comes from: somebody will be",
        "# judged by it.",
        "",
    ]
    head, tables, rows = (
        [field for field in TABLES["policy"] if _part(field) == part and field.name != "day_ms"] for part in range(3)
    )
    for field in head:
        lines += _entry(field, values)
    for field in tables:
        lines += ["", *_comment(field), f"[{field.name}]"]
        lines += [line for each in TABLES[field.name] for line in _entry(each, _VALUES.get(field.name, {}))]
    for field in rows:
        lines += ["", *_comment(field)]
        for at, row in enumerate(_ROWS[field.name]):
            lines += [*[""] * bool(at), f"[[{field.name}]]", *(f"{key} = {value}" for key, value in row.items())]
    return "\n".join([*lines, ""])


def _part(field: Field) -> int:
    """Where a field stands in a file: TOML wants what is in no table first."""
    return {TABLE: 1, ROWS: 2}.get(field.kind, 0)


def _entry(field: Field, values: dict[str, str]) -> list[str]:
    """A key under what it does, with its usual value where there is no other; one without a limit is a comment."""
    if field.name in values:
        return [*_comment(field), f"{field.name} = {values[field.name]}"]
    is_unlimited = field.usual in (NO_LIMIT, -SCORE_LIMIT)
    value = _value(field) if is_unlimited else _value(field._replace(example=""))
    return [*_comment(field), f"{'# ' * is_unlimited}{field.name} = {value}"]


def _comment(field: Field) -> list[str]:
    told = ", ".join(filter(None, (field.unit, "" if field.unit.endswith("characters") else _plain_bounds(field))))
    return [f"# {line}" for line in wrap(f"{field.effect} ({told})" if told else field.effect, _WIDTH)]


def _plain_bounds(field: Field) -> str:
    return "" if _part(field) else _bounds(field).replace("`", "")
