"""How files end that SQLite was writing, and how they are damaged afterwards: bytes in, bytes out.

A write-ahead log is a header of 32 bytes and frames, each a header of 24 bytes and a page (SQLite, "WAL-mode file
format").  A frame that ends a commit says how long the database is then.  Frames count while they carry the salt of the
header; what follows is of an earlier round.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

# What a disk writes whole, or not.
SECTOR = 512
LOG_HEADER = 32
FRAME_HEADER = 24
MAX_FLIPS = 4
MAX_LOST_COMMITS = 40


class Files(NamedTuple):
    """A database and its log."""

    tables: bytes
    log: bytes


def torn(before: Files, after: Files, random: Random) -> Files:
    """What a power cut leaves of a commit that was being written: an honest disk keeps all that was synced before.

    SQLite syncs the log, then copies it into the tables and syncs these, and only then begins the log anew; it syncs
    that header before the first frame.
    """
    if before.tables != after.tables and random.randrange(2):
        return Files(_partly(before.tables, after.tables, random), after.log)
    if before.log[:LOG_HEADER] != after.log[:LOG_HEADER] and not random.randrange(4):
        return before
    rest = _partly(before.log[LOG_HEADER:], after.log[LOG_HEADER:], random)
    return Files(before.tables, after.log[:LOG_HEADER] + rest)


def _partly(before: bytes, after: bytes, random: Random) -> bytes:
    """Some of what was written is there: a beginning up to any byte, or any sectors, in whatever order they came."""
    size = max(len(before), len(after))
    old, new = before.ljust(size, b"\0"), after.ljust(size, b"\0")
    starts = [at for at in range(0, size, SECTOR) if old[at : at + SECTOR] != new[at : at + SECTOR]]
    if not starts:
        return after
    if random.randrange(2):
        cut = random.randint(starts[0], starts[-1] + SECTOR)
        # The file may have grown before it was filled.
        return new[:cut] + (old[cut:] if random.randrange(2) else before[cut:])
    kept = set(random.sample(starts, random.randint(0, len(starts))))
    return b"".join((new if at in kept else old)[at : at + SECTOR] for at in range(0, size, SECTOR))


def commit_ends(log: bytes) -> Iterator[int]:
    """Where each commit in a log ends, oldest first."""
    page_size, salt = int.from_bytes(log[8:12], "big"), log[16:24]
    frame = FRAME_HEADER + page_size
    for at in range(LOG_HEADER, len(log) - frame + 1, frame):
        if log[at + 8 : at + 16] != salt:
            return
        if any(log[at + 4 : at + 8]):
            yield at + frame


def lied(files: Files, random: Random) -> Files:
    """The last commits never reached the disk, though it said so."""
    ends = [LOG_HEADER, *commit_ends(files.log)]
    lost = random.randint(1, MAX_LOST_COMMITS)
    return Files(files.tables, files.log[: ends[max(0, len(ends) - 1 - lost)]])


def with_flips(data: bytes, random: Random) -> bytes:
    """Some bits are wrong."""
    flipped = bytearray(data)
    for _ in range(random.randint(1, MAX_FLIPS) if data else 0):
        flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def flipped_log(files: Files, random: Random) -> Files:
    """Bits are wrong in what counts of the log."""
    end = max(commit_ends(files.log), default=0)
    return Files(files.tables, with_flips(files.log[:end], random) + files.log[end:])


def flipped_tables(files: Files, random: Random) -> Files:
    """Bits are wrong in the database."""
    return Files(with_flips(files.tables, random), files.log)
