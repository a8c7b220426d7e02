"""``config.toml``: each setting with its default, what it is for, and what it may be, in the one table that there is.

A new setting is a line of :class:`HomeConfig`: the file that ``init`` writes, the check and the error messages follow.
"""

# ruff: noqa: RUF009 – every default is made anew
from __future__ import annotations

import copy
import difflib
import json
import re
import textwrap
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from chain.content.tables import line_of, read_text
from chain.disk.database import DATABASE
from chain.disk.places import SCHEMES, Address, Place

LEVELS = ("debug", "info", "warning", "error")
MODES = ("archive", "full", "pruned")
WAYS_TO_JOIN = ("blocks", "state")
Check = Callable[[Any], bool]

_WIDTH = 110
_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+?(:\*)?")
_LINE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")


def _setting(
    default: Any, comment: str, must: str = "", check: Check = lambda _: True, *, is_live: bool = False
) -> Any:
    """A setting: what people read above it, and what it ``must`` be beyond the type of its default.

    One that ``is_live`` is taken over by a running node (:mod:`p2p.local.reload`).
    """
    metadata = {"comment": comment, "must": must, "check": check, "is_live": is_live}
    return field(default_factory=lambda: copy.copy(default), metadata=metadata)


def _between(low: int, high: int) -> tuple[str, Check]:
    return f"be from {low} to {high}", lambda value: low <= value <= high


def _texts(value: list[Any]) -> bool:
    return all(isinstance(item, str) for item in value)


def _is_http(value: str) -> bool:
    host, _, port = value.rpartition(":")
    return bool(host) and port.isdecimal() and len(port) <= 5 and int(port) <= 65_535


def _is_checkpoint(value: str) -> bool:
    from chain.branches.lightchain import read_checkpoint  # noqa: PLC0415 – few homes name one

    try:
        return not value or bool(read_checkpoint(value))
    except OperatorError:
        return False


@dataclass(frozen=True)
class HomeConfig:
    """``config.toml``.

    ``peers`` and ``seeds`` are multiaddrs that end in ``/p2p/<peer id>``, ``external_address`` is one that does not;
    ``http`` is ``host:port``.
    """

    listen: list[str] = _setting(
        ["/ip4/0.0.0.0/tcp/4001"],
        "Where other nodes reach this one; port 0 takes any free port.",
        "be a list of texts, at least one",
        lambda value: _texts(value) and bool(value),
    )
    external_address: str = _setting(
        "", 'Where others reach it if that is elsewhere, behind NAT or a mapped port: like "/ip4/203.0.113.7/tcp/4001".'
    )
    peers: list[str] = _setting(
        [],
        "Nodes to stay connected to, each ending in /p2p/<peer id>; names (/dns4, /dns6, /dnsaddr) are looked up at "
        "each dial.  They always have a place here.",
        "be a list of texts",
        _texts,
    )
    seeds: list[str] = _setting(
        [],
        "Nodes to ask for others while hardly any are known, written like peers.",
        "be a list of texts",
        _texts,
    )
    private: bool = _setting(
        False,
        "Whether this node talks to its peers above and to nobody else, and tells nobody where it is: for a validator "
        "whose peers are front nodes of its own.",
    )
    mode: str = _setting(
        "full",
        "What it keeps of what blocks say: archive all of it, fetching what it lacks; full what it has; pruned drops "
        "and overwrites what is older than the policy's bodies_days.  Headers always stay.",
        f"be one of {', '.join(MODES)}",
        MODES.__contains__,
    )
    store: str = _setting(
        "",
        "Where the chain and the register are, if not in a file of this home: a database on a server that speaks "
        'PostgreSQL\'s protocol, like "postgresql://user@host/database".  A password may stand in ~/.pgpass instead.',
        "be empty, or an address like postgresql://user@host/database",
        lambda value: not value or value.startswith(SCHEMES),
    )
    join: str = _setting(
        "blocks",
        "How a home without a chain gets one: by blocks it executes everything; by state it gets headers and a final "
        "state, of which two thirds of the validators signed that it follows, and what blocks say from there on.",
        f"be one of {', '.join(WAYS_TO_JOIN)}",
        WAYS_TO_JOIN.__contains__,
    )
    checkpoint: str = _setting(
        "",
        "Where it joins by state, HEIGHT:ID of a block that somebody you trust shows; needed once the chain is older "
        "than the policy's bodies_days.",
        "be HEIGHT:ID, the id of a block in hexadecimal",
        _is_checkpoint,
    )
    http: str = _setting(
        "127.0.0.1:4080",
        "The local HTTP face: status, submission, metrics.  Keep it on loopback, or behind a proxy that encrypts.",
        "be host:port like 127.0.0.1:4080",
        _is_http,
    )
    http_hosts: list[str] = _setting(
        [],
        "Names by which the HTTP face is asked beside loopback's, such as that of this machine.",
        "be a list of names without ports, in small letters",
        lambda value: _texts(value) and all(item == item.lower() and "/" not in item for item in value),
    )
    http_origins: list[str] = _setting(
        [],
        "Web pages of which other addresses may ask this node, and which nodes its own page may ask: like "
        '"http://127.0.0.1:4081", or with any port, "http://127.0.0.1:*".',
        "be a list of addresses like http://127.0.0.1:4081",
        lambda value: _texts(value) and all(_ORIGIN.fullmatch(item) for item in value),
    )
    http_token: str = _setting(
        "",
        "What other machines show to submit, and to ask for what is costly; without one they cannot.",
        "have no blanks, and 16 characters at least",
        lambda value: not value or (len(value) >= 16 and value.isascii() and value.isprintable() and " " not in value),
    )
    max_peers: int = _setting(
        32,
        "Connections that this node looks for; it accepts twice as many.",
        *_between(1, 1_000),
        is_live=True,
    )
    ban_s: int = _setting(
        300, "For how many seconds a peer that misbehaved is kept out.", *_between(1, 86_400), is_live=True
    )
    log_level: str = _setting(
        "info",
        f"What goes to the log: {', '.join(LEVELS)}.",
        f"be one of {', '.join(LEVELS)}",
        LEVELS.__contains__,
        is_live=True,
    )
    allow_partitions: bool = _setting(
        False, "Whether the HTTP face may cut this node from others.  For tests of partitions only."
    )

    def to_toml(self) -> str:
        """The file with a comment for each setting."""
        return "\n".join(
            f"{_comment(item.metadata['comment'])}\n{item.name} = {_toml(getattr(self, item.name))}\n"
            for item in fields(self)
        )


def live_settings() -> set[str]:
    """The settings that a running node takes over."""
    return {item.name for item in fields(HomeConfig) if item.metadata["is_live"]}


def read_config(path: Path) -> HomeConfig:
    """Read ``config.toml``; missing settings take their defaults.

    Raises :class:`OperatorError`, which names the first line that has a mistake.
    """
    text = read_text(path, "restore it, or make it an empty file for the defaults")
    document = parse_toml(path, text)
    mistakes = [
        (line_of(text, (name,)), mistake) for name, value in document.items() if (mistake := _mistake(name, value))
    ]
    if mistakes:
        line, mistake = min(mistakes)
        raise OperatorError(f"{path}, line {line}: {mistake}")
    config = HomeConfig(**document)
    if config.private and (not config.peers or config.seeds or config.external_address):
        raise OperatorError(
            f"{path}: a private node needs its front nodes as peers, and has no use for seeds or an external_address"
        )
    return config


def place_of(path: Path, config: HomeConfig) -> Place:
    """Where the home at ``path`` has its chain."""
    return Address(config.store, path) if config.store else path / DATABASE


def place_in(path: Path) -> Place:
    """The same, for whoever has read nothing of the home.  Raises :class:`OperatorError`."""
    file = path / "config.toml"
    return place_of(path, read_config(file)) if file.exists() else path / DATABASE


def checked_store(text: str) -> str:
    """The address of a server, or nothing.  Raises :class:`OperatorError`."""
    mistake = _mistake("store", text)
    if mistake:
        raise OperatorError(mistake)
    return text


def split_http(text: str) -> tuple[str, int]:
    """``host:port`` of the HTTP face.  Raises :class:`OperatorError` for anything else."""
    if not _is_http(text):
        raise OperatorError(f"http must be host:port like 127.0.0.1:4080, not {text!r}")
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """The document in a file.  Raises :class:`OperatorError`, which names the line of the mistake."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = _LINE.fullmatch(str(error))
        where = f", line {found[2]}: " if found else " "
        what = f"{found[1]} at character {found[3]}" if found else str(error)
        raise OperatorError(f"{path}{where}is not valid TOML: {what}") from error


def _mistake(name: str, value: Any) -> str:
    """What is wrong with a setting; nothing, or a phrase."""
    table = {item.name: item for item in fields(HomeConfig)}
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(sorted(table))}"
        return f"no setting {name!r}; {remedy}"
    default, metadata = getattr(HomeConfig(), name), table[name].metadata
    if type(value) is not type(default):
        return f"{name} must be written like {_toml(default)}"
    return "" if metadata["check"](value) else f"{name} must {metadata['must']}"


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(text, _WIDTH, fix_sentence_endings=False))


def _toml(value: list[str] | str | bool | int) -> str:
    # JSON and TOML write these alike, but for characters that JSON would escape as surrogates and DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
