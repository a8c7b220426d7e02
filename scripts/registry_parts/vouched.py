"""A list of people who are vouched for or denounced, in the form of ``VOUCHED.td``, as records of a project's office.

One handle a line, ``platform:name`` or ``name``, with a ``-`` before it for who is denounced, and details after a
blank; ``#`` begins a comment.  Handles go by their lower case.  Source: https://github.com/mitchellh/vouch, README.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chain.base.errors import OperatorError
from chain.base.keys import key_from_did
from chain.content.actions import FileRecord
from chain.content.genesis import Genesis
from chain.content.policy import Policy
from p2p.local.addressbook import NAMES_TOML, read_names
from scripts.registry_parts.inputs import find_category, find_points, find_severity, read_slot, salted_digest
from scripts.registry_parts.rows import Row, Table, Unreadable, mark_of, read_lines

VOUCHED_FOR, DENOUNCED = "vouched for", "denounced"
_HANDLE = re.compile(r"(?:[a-z0-9._-]+:)?[a-z0-9](?:[a-z0-9._-]*)")


class Entry(NamedTuple):
    """Somebody on the list."""

    handle: str
    is_denounced: bool
    details: str


def read_entry(line: str) -> Entry | None:
    """What a line says; None for a comment or an empty one.  Raises :class:`OperatorError`."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    name, _, details = text.removeprefix("-").partition(" ")
    handle = name.casefold()
    if not _HANDLE.fullmatch(handle):
        raise OperatorError(f"{name!r} is not a handle like github:alice")
    return Entry(handle, text.startswith("-"), details.strip())


def read_list(path: Path, genesis: Genesis, policy: Policy, established: str, names: Path | None) -> Table:
    """Read a whole list; whose handle is which key stands in the address book of the folder ``names``.

    The list itself is the evidence, and the reason of a denouncement that gives one.  Raises :class:`OperatorError`
    where it is no such list at all.
    """
    keys = {name.casefold(): did for did, name in read_names(names or path.parent).items()}
    slot = read_slot(genesis, established, 0, "--established")
    rows: dict[str, Row] = {}
    unreadable: list[Unreadable] = []
    for number, line in read_lines(path):
        try:
            entry = read_entry(line.decode("utf-8"))
            if entry is not None:
                deed = _record(entry, path, policy, slot, keys)
                mark = mark_of(deed)
                if mark in rows:
                    raise OperatorError(f"says the same as line {rows[mark].line}")
                rows[mark] = Row(number, mark, deed)
        except UnicodeDecodeError:
            unreadable.append(Unreadable(number, "not in UTF-8"))
        except OperatorError as error:
            unreadable.append(Unreadable(number, str(error)))
    return Table("records", tuple(rows.values()), tuple(unreadable))


def _record(entry: Entry, path: Path, policy: Policy, slot: int, keys: Mapping[str, str]) -> FileRecord:
    category = find_category(policy.categories, DENOUNCED if entry.is_denounced else VOUCHED_FOR)
    if entry.handle not in keys:
        raise OperatorError(f"no key is called {entry.handle!r} in {NAMES_TOML}; add it, or take the line out")
    if category.needs_reason and not entry.details:
        raise OperatorError(f"{category.name} needs a reason: write it after {entry.handle}")
    evidence = salted_digest(path)
    return FileRecord(
        subject=key_from_did(keys[entry.handle]),
        category=category.code,
        points=find_points(category, None),
        severity=find_severity(policy, category, None),
        evidence=evidence,
        reason=evidence if category.needs_reason else b"",
        established_slot=slot,
        policy_version=policy.version,
    )
