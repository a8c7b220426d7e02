"""The local address book: what this machine calls the owners of keys.

``names.toml`` in a home holds lines of ``"did:key:z6Mk…" = "market office"``.  A name is for people's eyes: commands
take keys only, and a table shows a name beside the key that it was given to, never in its place.
"""

from __future__ import annotations

import logging
import os
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError, Refused
from chain.base.keys import key_from_did

NAMES_TOML = "names.toml"
# With a key beside it, it leaves half of a narrow terminal to the rest of the row.
MAX_NAME_CHARACTERS = 32
_MAX_BYTES = 4_000_000
# Controls, what turns the direction of a text or is not seen at all, surrogates, private and unassigned characters,
# other line ends.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# A letter may bear an accent or two; a tower of them hides the lines above.
_MOST_MARKS = 2
_KEYLIKE = ("did:", "z6mk")

log = logging.getLogger(__name__)
_HEADING = "# What this machine calls the owners of keys; `registry.py names` lists it.\n"


def name_fault(name: str) -> str | None:
    """Why a text is no name that can be shown without harm; None if it is one."""
    if not name or name != " ".join(name.split()):
        return "a name has letters, and single blanks between words"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"a name has at most {MAX_NAME_CHARACTERS} characters"
    is_normal = name == unicodedata.normalize("NFC", name)
    if not is_normal or any(unicodedata.category(character) in _UNSEEN for character in name):
        return "a name holds no control characters, and none that are not seen or turn the direction of writing"
    if _marks_in_a_row(name) > _MOST_MARKS:
        return "a name holds no towers of accents"
    if any(start in _plain(name) for start in _KEYLIKE):
        return "a name does not look like a key"
    if not any(character.isalpha() for character in name):
        return "a name has letters"
    return None


def _plain(name: str) -> str:
    """What a name looks like, as far as Unicode knows."""
    return unicodedata.normalize("NFKC", name).casefold()


def _marks_in_a_row(name: str) -> int:
    most = row = 0
    for character in name:
        row = row + 1 if unicodedata.category(character).startswith("M") else 0
        most = max(most, row)
    return most


def read_names(home: Path) -> dict[str, str]:
    """The names of a home by did, none where it has no address book.  Raises :class:`OperatorError`."""
    path = home / NAMES_TOML
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        names = tomllib.loads(content[:_MAX_BYTES].decode("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise OperatorError(f'{path}: {error}; its lines read "did:key:z6Mk…" = "name"') from error
    seen: dict[str, str] = {}
    for did, name in names.items():
        _check(path, seen, did, name)
        seen[_plain(name)] = did
    return names


def _check(path: Path, seen: Mapping[str, str], did: str, name: object) -> None:
    """Raises :class:`OperatorError` where an entry could mislead."""
    try:
        key_from_did(did)
    except Refused as refusal:
        raise OperatorError(f"{path}: {did!r} is not a did: {refusal.detail}; mend it or take it out") from refusal
    fault = name_fault(name) if isinstance(name, str) else "a name is a text"
    if fault is None and seen.get(_plain(str(name)), did) != did:
        fault = f"{seen[_plain(str(name))]} has this name already"
    if fault:
        raise OperatorError(f"{path}: {name!r} for {did}: {fault}; choose another")


def give_name(home: Path, did: str, name: str | None) -> None:
    """Put a name into a home's address book, or take it out with None.  Raises :class:`OperatorError`."""
    names = read_names(home)
    names.pop(did, None)
    if name is not None:
        _check(home / NAMES_TOML, {_plain(other): key for key, other in names.items()}, did, name)
        names[did] = name
    write_names(home, names)


def write_names(home: Path, names: Mapping[str, str]) -> None:
    """A whole address book.  Raises :class:`OperatorError`."""
    lines = [f'"{key}" = "{_escaped(other)}"\n' for key, other in sorted(names.items(), key=lambda item: item[1])]
    _replace(home / NAMES_TOML, "".join([_HEADING, *lines]))


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _replace(path: Path, text: str) -> None:
    """A whole file in place of the one before."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}; name a node's home with --home") from error


class AddressBook:
    """The names of a home, read again when the file is another; a running node goes on without those that mislead."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._read_at: tuple[int, int] | None = None
        self._names: dict[str, str] = {}

    def names(self) -> Mapping[str, str]:
        """The names by did."""
        try:
            found = os.stat(self._home / NAMES_TOML)
        except OSError:
            self._read_at, self._names = None, {}
            return self._names
        state = found.st_mtime_ns, found.st_size
        if state != self._read_at:
            self._read_at = state
            try:
                self._names = read_names(self._home)
            except OperatorError as error:
                log.warning("no names are shown: %s", error)
                self._names = {}
        return self._names


def names_in(document: Any, names: Mapping[str, str]) -> dict[str, str]:
    """The names of those whose dids a document holds."""
    found: dict[str, str] = {}
    left = [document] if names else []
    while left:
        item = left.pop()
        if isinstance(item, str):
            if item in names:
                found[item] = names[item]
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item
    return found
