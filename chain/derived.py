"""What follows from the entries, in tables of its own: the pages of the tree, what falls due, who rated whom, ranks.

All of it moves in the transaction that moves the entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from chain import pages, replanting
from chain.codec import encode
from chain.database import BETWEEN, Database, bounds, page_seal, page_unseal, policy_in_force, unseal
from chain.entries import Member
from chain.policy import Policy
from chain.scores import noted
from chain.state import WITH_DEADLINES, decode_entry, due_slot
from chain.statekeys import MEMBERS, RATINGS, RULES_KEY, given_key, read_identity
from chain.store import Tree

# Members that one commit gives a score under a new policy, beside those that it changes anyway.
RESCORED_AT_ONCE = 10_000
# A band holds so many bands of the level below, the lowest level one score each; the highest level is short.
_BAND_BITS = 4
_LEVELS = 7

Values = Mapping[bytes, bytes | None]
"""Entries by key, encoded; None where one is gone."""


class Derived:
    """Keeps these tables in line with the entries of a database; its methods are called within a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection

    def before(self, values: Values) -> dict[bytes, bytes | None]:
        """The entries on which the chain itself may act, of these keys, as they are stored before ``values`` are."""
        return {key: self._stored(key) for key in values if key[0] in WITH_DEADLINES}

    def follow(self, before: Values, values: Values, tree: Tree | None) -> None:
        """The entries are these now.  Without a ``tree`` its pages are made from them."""
        self._schedule(before, values)
        self._give(values)
        self._rank(values)
        if tree is None:
            self.grow({sha256(key).digest(): value and sha256(value).digest() for key, value in values.items()})
        else:
            self.plant(tree)

    def enter(self, values: Mapping[bytes, bytes]) -> None:
        """These entries are there, and nothing but the tree knows of them yet."""
        due = [(slot, key) for key, value in values.items() if (slot := due_slot(key, value)) is not None]
        self._connection.executemany("INSERT INTO agenda VALUES (?, ?)", sorted(due))
        self._give(values)
        members = {key: value for key, value in values.items() if key[:1] == MEMBERS}
        if members:
            self._score(policy_in_force(self._database), members)

    # ---------------------------------------------------------------------------------------------- the tree

    def grow(self, hashes: Mapping[bytes, bytes | None]) -> None:
        """Set entries of the tree, by the SHA-256 of their keys, to that of their values; None removes one."""
        updated = replanting.update(self.fetch, self._database.number("entries"), hashes)
        self.plant(Tree(updated.count, {path: change.after for path, change in updated.pages.items()}))

    def plant(self, tree: Tree) -> None:
        """Store pages, and how many entries there are."""
        gone = [(path,) for path, page in tree.pages.items() if not page]
        kept = [(path, page_seal(path, page)) for path, page in tree.pages.items() if page]
        self._connection.executemany("DELETE FROM page WHERE k = ?", gone)
        self._connection.executemany("INSERT OR REPLACE INTO page VALUES (?, ?)", kept)
        self._database.put("entries", encode((tree.count,)))

    @property
    def root(self) -> bytes:
        """The root that is stored."""
        return pages.root(self.fetch, self._database.number("entries"))

    def fetch(self, paths: Iterable[int]) -> dict[int, bytes]:
        """The pages under these paths, as far as there are any."""
        found: dict[int, bytes] = {}
        for path in paths:
            for (page,) in self._connection.execute("SELECT v FROM page WHERE k = ?", (path,)):
                found[path] = page_unseal(path, page)
        return found

    # ----------------------------------------------------------------------------- what falls due, who rated whom

    def _schedule(self, before: Values, values: Values) -> None:
        was_due = {(due_slot(key, value), key) for key, value in before.items()}
        is_due = {(due_slot(key, values[key]), key) for key in before}
        gone = [(slot, key) for slot, key in was_due - is_due if slot is not None]
        new = [(slot, key) for slot, key in is_due - was_due if slot is not None]
        self._connection.executemany("DELETE FROM agenda WHERE slot = ? AND key = ?", sorted(gone))
        self._connection.executemany("INSERT INTO agenda VALUES (?, ?)", sorted(new))

    def _give(self, values: Values) -> None:
        ratings = sorted((*given_key(key), value is None) for key, value in values.items() if key[:1] == RATINGS)
        gone = [(rater, rating) for rater, rating, is_gone in ratings if is_gone]
        there = [(rater, rating) for rater, rating, is_gone in ratings if not is_gone]
        self._connection.executemany("DELETE FROM given WHERE rater = ? AND rating = ?", gone)
        self._connection.executemany("INSERT OR IGNORE INTO given VALUES (?, ?)", there)

    # --------------------------------------------------------------------------------------------------- ranks

    def _rank(self, values: Values) -> None:
        """Bring the scores of members up to date: of those that changed, and of all under another policy, by and by."""
        policy = policy_in_force(self._database)
        members = {key: value for key, value in values.items() if key[:1] == MEMBERS}
        self._score(policy, members)
        rescored = b"" if RULES_KEY in values else self._database.meta("rescored")
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

    def _score(self, policy: Policy, members: Values) -> None:
        """Give these members their scores and tiers; who left has none."""
        moved: Counter[int] = Counter()
        gone, scored = [], []
        for key, value in sorted(members.items()):
            member, entry = read_identity(key), None if value is None else decode_entry(key, value)
            for (score,) in self._connection.execute("SELECT score FROM standings WHERE member = ?", (member,)):
                moved[score] -= 1
            if isinstance(entry, Member):
                found = noted(policy, entry)
                moved[found.score] += 1
                scored.append((member, *found))
            else:
                gone.append((member,))
        self._connection.executemany("DELETE FROM standings WHERE member = ?", gone)
        self._connection.executemany("INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?)", scored)
        self._count(moved)

    def _count(self, moved: Mapping[int, int]) -> None:
        for level in range(_LEVELS):
            bands: Counter[int] = Counter()
            for score, members in moved.items():
                bands[score >> level * _BAND_BITS] += members
            self._connection.executemany(
                "INSERT INTO ranks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET members = members + excluded.members",
                [(level, band, members) for band, members in sorted(bands.items()) if members],
            )
        self._connection.execute("DELETE FROM ranks WHERE members = 0")

    # --------------------------------------------------------------------------------------------------- rows

    def _stored(self, key: bytes) -> bytes | None:
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else unseal(key, row[0])


def bands_above(score: int) -> Iterator[tuple[int, int, int]]:
    """The bands in which all better scores are, as ``(level, first, last)``: a few on each level."""
    for level in range(_LEVELS):
        band = score >> level * _BAND_BITS
        last = 2**63 - 1 if level == _LEVELS - 1 else band | (1 << _BAND_BITS) - 1
        yield level, band + 1, last


#: The level whose bands hold everybody, each once.
HIGHEST_LEVEL = _LEVELS - 1
