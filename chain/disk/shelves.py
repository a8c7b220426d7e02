"""Giving away parts of the state on disk, each with its proof: what a part holds is read, and no more.

The entries of a part are neighbours in the order of the tree (:func:`chain.disk.schema.place`), and its proof is made
from the pages on the way to it.

The state on disk moves on every few seconds, and whoever joins needs one for longer.  So while somebody asks, the one
at an aligned height is **held**, by a transaction that reads: it stops at these heights on all nodes
(:data:`chain.branches.blockchain.ALIGNED`), so that several give the same.  SQLite's log grows meanwhile, and bounds
that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import ALIGNED
from chain.disk.reader import Reader
from chain.protocol.messages import GetPart
from chain.tree import pages
from chain.tree.ranges import ANY, FRAMING_BYTES, MAX_ENTRIES, Part, Row, check_part, fitting_depth, make_part
from chain.tree.stateproof import BUCKET, Proof

# Nobody joins who did not ask for so long.
IDLE_MS = 60_000
# Longer than the state of a million members takes; then newcomers heal what a newer one has changed.
HELD_MS = 600_000
# A full second of a register of a million members adds some 17 MB.
MAX_LOG_BYTES = 2**30


class Shelves:
    """What is on the disk of one node; ``open_reader`` looks into it.  Not for several threads at once."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open_reader = open_reader
        self._reader = open_reader()
        self._held: Reader | None = None
        self._held_root = b""
        self._held_since_ms = 0
        self._asked_ms: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether anybody asked of late; if not, there is nothing to :meth:`tend`."""
        return self._asked_ms is not None

    def close(self) -> None:
        """End what reads."""
        self._let_go()
        self._reader.close()

    def give(self, question: GetPart, now_ms: int) -> bytes:
        """A part of the state under a root, or under the one that is given away now where none is named.

        Raises :class:`Refused` ``NOT_EXECUTED`` where the state here is another one, or damaged.
        """
        self._asked_ms = now_ms
        if self._held is not None and question.root in (ANY, self._held_root):
            return _part_of(self._held, self._held_root, question)
        with self._reader.consistent():
            height, root = _state_of(self._reader)
            if not height or question.root not in (ANY, root):
                raise Refused(Reason.NOT_EXECUTED, f"the state here is that of height {height}")
            return _part_of(self._reader, root, question)

    def tend(self, now_ms: int) -> None:
        """The state on disk moved on: hold it where it is one to hold, or let go of what is held."""
        if self._asked_ms is None or now_ms - self._asked_ms > IDLE_MS:
            self._asked_ms = None
            self._let_go()
            return
        if self._held is not None and (
            now_ms - self._held_since_ms > HELD_MS or self._reader.log_bytes > MAX_LOG_BYTES
        ):
            self._let_go()
        if self._held is None:
            self._hold(now_ms)

    def _hold(self, now_ms: int) -> None:
        reader = self._open_reader()
        reader.hold()
        height, root = _state_of(reader)
        if not height or height % ALIGNED:
            reader.close()
        else:
            self._held, self._held_root, self._held_since_ms = reader, root, now_ms

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held, self._held_root = None, b""


def _state_of(reader: Reader) -> tuple[int, bytes]:
    header = reader.snapshot_header()
    return (0, b"") if header is None else (header.height, header.state_root)


@dataclass(frozen=True, slots=True)
class _Tree:
    """The tree on disk, to prove where parts begin."""

    reader: Reader
    count: int

    def prove_hashed(self, key_hash: bytes) -> Proof:
        """See :func:`chain.tree.pages.prove_hashed`."""
        return pages.prove_hashed(self.reader.pages, self.count, key_hash)


def _part_of(reader: Reader, root: bytes, question: GetPart) -> bytes:
    laid = _beginning(reader, question)
    hashes = [key_hash for key_hash, _ in laid]
    sizes = [len(key) + len(value) for _, (key, value) in laid]
    part = question.part.inside(fitting_depth(question.part, hashes, sizes, question.max_bytes))
    rows: Iterable[Row] = (row for key_hash, row in laid if key_hash in part)
    data = make_part(_Tree(reader, reader.count_entries()), part, rows)
    _check_own(root, part, data)
    return data


def _beginning(reader: Reader, question: GetPart) -> list[tuple[bytes, Row]]:
    """The first entries of a part, by their hashes: all that fit, and one more where there is one."""
    laid: list[tuple[bytes, Row]] = []
    size, last = 0, None
    for key, value, at in reader.entries_between(question.part.first, question.part.last):
        is_full = len(laid) > BUCKET and (size > question.max_bytes or len(laid) > MAX_ENTRIES)
        if is_full and at != last:  # who shares so many bits belongs together
            break
        last, key_hash = at, sha256(key).digest()
        if key_hash in question.part:
            laid.append((key_hash, (key, value)))
            size += len(key) + len(value) + FRAMING_BYTES
    return sorted(laid)


def _check_own(root: bytes, part: Part, data: bytes) -> None:
    """What the disk damaged is given to nobody: it would be held against this node."""
    try:
        check_part(root, part, data)
    except Refused as refusal:
        raise Refused(Reason.NOT_EXECUTED, f"the state here is damaged ({refusal})") from refusal
