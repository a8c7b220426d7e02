"""The peer book on disk: where peers were reached, so that a restarted node needs nobody to begin with.

``{"format": 1, "addresses": ["/ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…", …]}``
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from p2p.addresses import MAX_ADDRESS_BYTES, PeerAddress, read_address
from p2p.book import MAX_ADDRESSES, MAX_KNOWN, PeerBook

log = logging.getLogger(__name__)

FORMAT = 1

MAX_LISTED = MAX_KNOWN * MAX_ADDRESSES
"""More only where the operator named more peers than a book has room for; those are named again at the next start."""

MAX_FILE_BYTES = 64 + MAX_LISTED * (MAX_ADDRESS_BYTES + 8)


KEEP_EVERY_S = 1.0
"""How much of the book a crash may cost."""


class BookFile:
    """Reads and writes one file.  What goes wrong is logged: a node runs without it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_failing = False

    async def keep(self, book: PeerBook, wake: Callable[[], None]) -> None:
        """Fill a book from the file, call ``wake``, and keep the file like the book until cancelled."""
        kept = await trio.to_thread.run_sync(self.read)
        book.remember(kept, trio.current_time())
        wake()
        try:
            while True:
                await trio.sleep(KEEP_EVERY_S)
                if book.proven() != kept:
                    kept = book.proven()
                    await trio.to_thread.run_sync(self.write, kept)
        finally:
            if book.proven() != kept:
                self.write(book.proven())

    def read(self) -> list[PeerAddress]:
        """What was written last; nothing where that was never, or is damaged."""
        try:
            with self._path.open("rb") as file:
                return _read(file.read(MAX_FILE_BYTES + 1))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read (%s); peers are found anew", self._path, error)
            return []

    def write(self, addresses: Sequence[PeerAddress]) -> None:
        """Replace the file as a whole."""
        text = json.dumps({"format": FORMAT, "addresses": [*map(str, addresses)][-MAX_LISTED:]}, indent=1)
        draft = self._path.with_name(self._path.name + ".draft")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning(
                    "%s cannot be written (%s); after a restart peers are found anew", self._path, error.strerror
                )
            self._is_failing = True


def _read(data: bytes) -> list[PeerAddress]:
    """Raises ``ValueError`` for what :meth:`BookFile.write` did not write."""
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError("it is no peer book of this version")
    texts = document.get("addresses")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("it lists no addresses")
    found = [read_address(text) for text in texts]
    return [address for address in found if address is not None and address.is_numeric]
