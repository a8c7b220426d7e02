"""What follows from the entries, in tables of its own: the pages of the tree, what falls due, who rated whom, ranks.

All of it moves in the transaction that moves the entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256

from chain.base.codec import encode
from chain.branches.store import Tree
from chain.content.policy import Policy
from chain.disk.database import Database
from chain.disk.schema import BETWEEN, bounds, page_seal, page_unseal
from chain.disk.stored import policy_in_force
from chain.register.draft import Changes
from chain.register.entries import Member
from chain.register.scores import noted
from chain.register.state import WITH_DEADLINES, decode_entry, due_slot
from chain.register.statekeys import MEMBERS, RATINGS, RULES_KEY, given_key, read_identity
from chain.tree import pages
from chain.tree.planting import bring, pages_between, standing
from chain.tree.statetree import StateTree

# Members that one commit gives a score under a new policy, beside those that it changes anyway.
RESCORED_AT_ONCE = 10_000
# A band holds so many bands of the level below, the lowest level one score each; the highest level is short.
_BAND_BITS = 4
_LEVELS = 7
_PAGES = "SELECT k, v FROM page WHERE k"
_DUE = "INSERT INTO agenda VALUES (?, ?)"
_GIVEN = "INSERT INTO given VALUES (?, ?) ON CONFLICT DO NOTHING"
_SCORES = "SELECT score FROM standings WHERE member"


class Derived:
    """Keeps these tables in line with the entries of a database; its methods are called within a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection

    def follow(self, changes: Changes, tree: Tree | None) -> None:
        """Entries changed.  Without a ``tree`` its pages are made from that."""
        self._schedule(changes)
        self._give(changes)
        self._rank(changes)
        if tree is None:
            self.grow({sha256(key).digest(): after and sha256(after).digest() for key, (_, after) in changes.items()})
        else:
            self.plant(tree)

    def enter(self, entries: Mapping[bytes, bytes]) -> None:
        """These entries are there, and nothing but the tree knows of them yet."""
        dated = [(due_slot(key, value), key) for key, value in entries.items() if key[0] in WITH_DEADLINES]
        due = sorted((slot, key) for slot, key in dated if slot is not None)
        given = sorted(given_key(key) for key in entries if key[:1] == RATINGS)
        self._connection.executemany(_DUE, due)
        self._connection.executemany(_GIVEN, given)
        members = {key: value for key, value in entries.items() if key[:1] == MEMBERS}
        if members:
            self._score(policy_in_force(self._database), members)

    # ---------------------------------------------------------------------------------------------- the tree

    def grow(self, hashes: Mapping[bytes, bytes | None]) -> None:
        """Set entries of the tree, by the SHA-256 of their keys, to that of their values; None removes one."""
        before = self._standing()
        bring(before, hashes, self.fetch)
        after = before.changed(hashes)
        self.plant(Tree(len(after), partial(pages_between, before, after)))

    def graft(self, key_hash: bytes, entries: Iterable[bytes]) -> None:
        """Set all entries of the tree, 64 bytes each, in a part that begins with ``key_hash`` and was empty."""
        before = self._standing()
        after = before.grafted(key_hash, entries)
        self.plant(Tree(len(after), partial(pages_between, before, after)))

    def _standing(self) -> StateTree:
        return standing(lambda path: self.fetch((path,)).get(path, b""), self._database.number("entries"))

    def plant(self, tree: Tree) -> None:
        """Store pages, and how many entries there are."""
        rows = sorted(tree.pages().items())
        gone = [(path,) for path, page in rows if not page]
        kept = [(path, page_seal(path, page)) for path, page in rows if page]
        self._connection.executemany("DELETE FROM page WHERE k = ?", gone)
        self._connection.executemany(
            "INSERT INTO page VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v", kept
        )
        self._database.put("entries", encode((tree.count,)))

    @property
    def root(self) -> bytes:
        """The root that is stored."""
        return pages.root(self.fetch, self._database.number("entries"))

    def fetch(self, paths: Iterable[int]) -> dict[int, bytes]:
        """The pages under these paths, as far as there are any."""
        return {path: page_unseal(path, page) for path, page in self._database.many(_PAGES, list(paths))}

    # ----------------------------------------------------------------------------- what falls due, who rated whom

    def _schedule(self, changes: Changes) -> None:
        dated = [(key, *both) for key, both in changes.items() if key[0] in WITH_DEADLINES]
        was_due = {(due_slot(key, before), key) for key, before, _ in dated}
        is_due = {(due_slot(key, after), key) for key, _, after in dated}
        gone = [(slot, key) for slot, key in was_due - is_due if slot is not None]
        new = [(slot, key) for slot, key in is_due - was_due if slot is not None]
        self._connection.executemany("DELETE FROM agenda WHERE slot = ? AND key = ?", sorted(gone))
        self._connection.executemany(_DUE, sorted(new))

    def _give(self, changes: Changes) -> None:
        ratings = [(key, *both) for key, both in changes.items() if key[:1] == RATINGS]
        gone = sorted(given_key(key) for key, _, after in ratings if after is None)
        there = sorted(given_key(key) for key, before, _ in ratings if before is None)
        self._connection.executemany("DELETE FROM given WHERE rater = ? AND rating = ?", gone)
        self._connection.executemany(_GIVEN, there)

    # --------------------------------------------------------------------------------------------------- ranks

    def _rank(self, changes: Changes) -> None:
        """Bring the scores of members up to date: of those that changed, and of all under another policy, by and by."""
        policy = policy_in_force(self._database)
        self._score(policy, _members(changes))
        rescored = b"" if RULES_KEY in changes else self._database.meta("rescored")
        if rescored is not None:
            self._rescore(policy, rescored)

    def _rescore(self, policy: Policy, after: bytes) -> None:
        first, last = bounds(MEMBERS)
        rows = self._database.values(f"{BETWEEN} LIMIT ?", (max(first, after + b"\0"), last, RESCORED_AT_ONCE))
        members = {key: value for key, value, _ in rows}
        self._score(policy, members)
        if len(members) == RESCORED_AT_ONCE:
            self._database.put("rescored", max(members))
        else:
            self._connection.execute("DELETE FROM meta WHERE key = 'rescored'")

    def _score(self, policy: Policy, members: Mapping[bytes, bytes | None] | Mapping[bytes, bytes]) -> None:
        """Give these members their scores and tiers; who left has none."""
        moved: Counter[int] = Counter()
        gone, scored = [], []
        for (score,) in self._database.many(_SCORES, [read_identity(key) for key in members]):
            moved[score] -= 1
        for key, value in sorted(members.items()):
            member, entry = read_identity(key), None if value is None else decode_entry(key, value)
            if isinstance(entry, Member):
                found = noted(policy, entry)
                moved[found.score] += 1
                scored.append((member, *found))
            else:
                gone.append((member,))
        self._connection.executemany("DELETE FROM standings WHERE member = ?", gone)
        self._connection.executemany(
            "INSERT INTO standings VALUES (?, ?, ?, ?) ON CONFLICT (member) DO UPDATE "
            "SET score = excluded.score, level = excluded.level, suspended = excluded.suspended",
            scored,
        )
        self._count(moved)

    def _count(self, moved: Mapping[int, int]) -> None:
        for level in range(_LEVELS):
            bands: Counter[int] = Counter()
            for score, members in moved.items():
                bands[score >> level * _BAND_BITS] += members
            self._connection.executemany(
                "INSERT INTO ranks VALUES (?, ?, ?) "
                "ON CONFLICT (level, band) DO UPDATE SET members = ranks.members + excluded.members",
                [(level, band, members) for band, members in sorted(bands.items()) if members],
            )
        self._connection.execute("DELETE FROM ranks WHERE members = 0")


def _members(changes: Changes) -> dict[bytes, bytes | None]:
    return {key: after for key, (_, after) in changes.items() if key[:1] == MEMBERS}


def bands_above(score: int) -> Iterator[tuple[int, int, int]]:
    """The bands in which all better scores are, as ``(level, first, last)``: a few on each level."""
    for level in range(_LEVELS):
        band = score >> level * _BAND_BITS
        last = 2**63 - 1 if level == _LEVELS - 1 else band | (1 << _BAND_BITS) - 1
        yield level, band + 1, last


#: The level whose bands hold everybody, each once.
HIGHEST_LEVEL = _LEVELS - 1
