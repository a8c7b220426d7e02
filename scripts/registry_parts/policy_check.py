"""Behind ``registry.py policy check`` and ``diff``: findings by line, and two policies side by side."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from chain.content.amendments import amendment_faults, needed_notice_days, worsenings
from chain.content.language import TABLES, field_of
from chain.content.policy import Policy
from chain.content.policyfile import parse_policy, policy_of
from chain.content.tables import FieldPath, line_of, read_text
from chain.documents.words import policy_changes
from scripts.registry_parts.policy_doubts import doubts, mistakes


class Finding(NamedTuple):
    """Something at a line of a file; ``field`` is like ``tier[2].from``."""

    line: int
    field: str
    text: str


def check_file(path: Path) -> tuple[list[Finding], list[Finding]]:
    """The mistakes and the doubts of a policy file, in the order of its lines.

    Raises :class:`OperatorError` where it is no TOML at all.
    """
    text = read_text(path)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        parse_policy(text)  # says it in a sentence
        raise
    wrong = mistakes(tomllib.loads(text))
    if wrong:
        return sorted(_finding(text, each.path, str(each)) for each in wrong), []
    found = doubts(policy_of(document), document)
    return [], sorted(_finding(text, each.path, f"{_words(each.path)}{each.text}") for each in found)


def _finding(text: str, path: FieldPath, told: str) -> Finding:
    return Finding(line_of(text, path), _words(path).removesuffix(": "), told)


def _words(path: FieldPath) -> str:
    steps = (f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path)
    told = "".join(steps).removeprefix(".")
    return f"{told}: " if told else ""


def difference(old: Policy, new: Policy) -> dict[str, Any]:
    """What an amendment of ``old`` by ``new`` changes, what it worsens, and why it may not be if it may not."""
    faults = amendment_faults(old, new)
    return {
        "old": {"name": old.name, "version": old.version},
        "new": {"name": new.name, "version": new.version},
        "changes": [
            {"rule": rule, "before": before, "after": after, "means": _effect(rule)}
            for rule, before, after in policy_changes(old, new)
        ],
        "worse": worsenings(old, new) if not faults else [],
        "notice_days": None if faults else needed_notice_days(old, new),
        "faults": faults,
    }


def _effect(rule: str) -> str:
    """What a field does, by its name in :func:`chain.documents.words.policy_changes` (``tier A.from``)."""
    where, _, name = rule.rpartition(".")
    table = where.partition(" ")[0] or "policy"
    is_known = table in TABLES and any(field.name == name for field in TABLES[table])
    return field_of(table, name).effect if is_known else ""
