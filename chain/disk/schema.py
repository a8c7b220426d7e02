"""The tables of a home's database, and how what is in them is sealed.

* ``meta``: format, genesis id, the snapshot (header, votes), the head, the finalized height, and the signing state:
  as ``signing``, or as ``exported`` once it left this home, or not at all where it was lost; ``restart``, which this
  home signed; ``waiting``, the transactions that it had acknowledged and no block held at its last clean stop;
  ``commits``, how many were made; ``bodies``, the height from which on blocks are whole, and ``wiped``, what that was
  when the whole file was last written anew (:mod:`chain.disk.bodies`); ``entries`` and ``transactions``, how many there
  are in the state and on the main chain, there from the height ``counted_from`` on; and ``rescored``, up to which
  member scores are those of a new policy, until all are;
* ``blocks``: every known block, one blob each; ``main`` marks the head's branch;
* ``transactions``: the first 8 bytes of each transaction's id and its block, to look transactions up;
* ``state``: the entries at the snapshot's height, by key, and in the order of the tree: ``at`` is :func:`place`;
* ``page``: the tree over them (:mod:`chain.tree.pages`), by path;
* ``agenda``: which of them falls due in which slot; ``given``: the ratings by whoever gave them, as subject and
  category, for when somebody leaves;
* ``decisions``: the heights of final blocks that decided something about who votes, which proofs begin at;
* ``standings``: each member's score and tier (by its level) under the policy in force there, and how many records about
  it are suspended; ``ranks``: how many there are in each band of scores, bands of bands and so on, so that a rank is a
  short query.
"""

from __future__ import annotations

import zlib
from hashlib import sha256
from typing import Any

from chain.base.errors import Reason, Refused

FORMAT = 12
# What `chaindata.py migrate` brings to this format.
OLDER_FORMATS = (6, 7, 8, 9, 10, 11)

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    parent BLOB NOT NULL,
    height INTEGER NOT NULL,
    main INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX blocks_by_height ON blocks (height, main);
CREATE TABLE transactions (short INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (short, block)) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE page (k INTEGER PRIMARY KEY, v BLOB NOT NULL);
CREATE TABLE agenda (slot INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (slot, key)) WITHOUT ROWID;
CREATE TABLE given (rater BLOB NOT NULL, rating BLOB NOT NULL, PRIMARY KEY (rater, rating)) WITHOUT ROWID;
CREATE TABLE decisions (height INTEGER PRIMARY KEY);
CREATE TABLE standings (
    member BLOB PRIMARY KEY,
    score INTEGER NOT NULL,
    level INTEGER NOT NULL,
    suspended INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX standings_by_tier ON standings (level DESC, score DESC, member);
CREATE INDEX standings_suspended ON standings (member) WHERE suspended > 0;
CREATE TABLE ranks (level INTEGER, band INTEGER, members INTEGER NOT NULL, PRIMARY KEY (level, band)) WITHOUT ROWID;
"""
#: Beside the schema: of many entries it is made at once when they are all there.
STATE_INDEX = "CREATE INDEX IF NOT EXISTS state_by_hash ON state (at);"


#: Sets an entry: the :func:`entry_row` of it.  Where it was there before, its place stays, and no index is touched.
PUT_ENTRY = "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
#: The entries between two :func:`bounds`.
BETWEEN = "SELECT key, value, 0 FROM state WHERE key >= ? AND key < ? ORDER BY key"


def bounds(prefix: bytes) -> tuple[bytes, bytes]:
    """What is not below, and above, all keys and ids that begin with ``prefix``: none is longer than 69 bytes."""
    return prefix, prefix + b"\xff" * 128


def short_id(transaction_id: bytes) -> int:
    return int.from_bytes(transaction_id[:8], "big", signed=True)


def seal(key: bytes, value: bytes) -> bytes:
    """A stored value: SQLite does not notice a flipped bit, and no root guards votes, finality or signing state."""
    return value + zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big")


def unseal(key: Any, stored: Any) -> bytes:
    """What :func:`seal` was given.  Raises :class:`Refused` for a damaged value."""
    if type(key) is bytes and type(stored) is bytes:
        value = stored[:-4]
        if stored[-4:] == zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big"):
            return value
    raise Refused(Reason.MALFORMED, "a stored value is not what was written")


def place(key_hash: bytes) -> int:
    """Where an entry is among all in the order of the tree, by the SHA-256 of its key: as many bits as SQLite holds."""
    return int.from_bytes(key_hash[:8], "big") - 2**63


def entry_row(key: bytes, value: bytes) -> tuple[bytes, bytes, int]:
    """An encoded entry as ``state`` holds it."""
    return key, seal(key, value), place(sha256(key).digest())


def page_seal(path: int, page: bytes) -> bytes:
    """:func:`seal` for a page of the tree."""
    return seal(path.to_bytes(8, "big"), page)


def page_unseal(path: int, stored: Any) -> bytes:
    """What :func:`page_seal` was given.  Raises :class:`Refused` for a damaged page."""
    return unseal(path.to_bytes(8, "big"), stored)
