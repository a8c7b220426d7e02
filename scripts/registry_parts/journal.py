"""What an import has signed, on disk beside its file before any of it is sent.

One line of JSON each; the first says whose journal it is.  A row that was signed is offered again as the same bytes,
which no chain takes twice.  A line that a crash cut off was never sent, since sending waits for the disk: it is
forgotten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from chain.base.errors import OperatorError
from p2p.local.whole import make_durable

_FORM = 1


class Signed(NamedTuple):
    """A row's transaction: its id and its encoding."""

    mark: str
    id: bytes
    nonce: int
    raw: bytes


class Journal:
    """The journal of one file, one key, one network; ``signed`` and ``done`` go by the marks of rows."""

    def __init__(self, path: Path, whose: dict[str, Any]) -> None:
        self._path = path
        self.signed: dict[str, Signed] = {}
        self.done: set[str] = set()
        length = self._read(whose)
        self._file = path.open("r+b" if path.exists() else "w+b")
        # What a crash cut off would spoil the next line.
        self._file.truncate(length)
        self._file.seek(length)
        if not length:
            self._write([whose])
            make_durable(path.parent)

    def sign(self, transactions: Iterable[Signed]) -> None:
        """Keep what is about to be sent; it is on disk when this returns."""
        found = list(transactions)
        self._write({"mark": one.mark, "id": one.id.hex(), "nonce": one.nonce, "raw": one.raw.hex()} for one in found)
        self.signed.update((one.mark, one) for one in found)

    def finish(self, mark: str) -> None:
        """The row is done.  Should this be lost, the chain says so again."""
        self.done.add(mark)
        self._file.write(_line({"done": mark}))

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _write(self, lines: Iterable[dict[str, Any]]) -> None:
        self._file.write(b"".join(map(_line, lines)))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, whose: dict[str, Any]) -> int:
        """Take in what is there; the length of its whole lines."""
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines()):
            try:
                self._take(number, json.loads(line), whose)
            except (ValueError, KeyError, TypeError) as error:
                raise OperatorError(
                    f"{self._path}: line {number + 1} is damaged; put back the file as it was, since without it rows "
                    "that are on their way would be filed twice"
                ) from error
        return len(whole)

    def _take(self, number: int, line: dict[str, Any], whose: dict[str, Any]) -> None:
        if number == 0:
            if line != whose:
                raise OperatorError(
                    f"{self._path} is of another key or network; sign with that key, or give the table another name"
                )
        elif "done" in line:
            self.done.add(line["done"])
        else:
            found = Signed(line["mark"], bytes.fromhex(line["id"]), line["nonce"], bytes.fromhex(line["raw"]))
            self.signed[found.mark] = found


@contextmanager
def opened(table: Path, network: str, did: str) -> Iterator[Journal]:
    """The journal of a table, for one process at a time.  Raises :class:`OperatorError`."""
    path = table.with_name(f"{table.name}.journal")
    lock = filelock.FileLock(path.with_name(f"{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise OperatorError(f"{table} is being imported by another process; wait for it") from error
    except OSError as error:
        raise OperatorError(
            f"{lock.lock_file} cannot be written: {error.strerror}; copy the table elsewhere"
        ) from error
    try:
        journal = Journal(path, {"import": _FORM, "network": network, "key": did})
        try:
            yield journal
        finally:
            journal.close()
    except OSError as error:
        raise OperatorError(f"{error.filename or path} cannot be used: {error.strerror}") from error
    finally:
        lock.release()


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
