"""What keeps this node from a peer that it was told to know: said once, again when it changes, and when it is over."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.transport.exceptions import UpgradeFailure

from p2p.book import MAX_RETRY_S, Contact
from p2p.host import Unwelcome

log = logging.getLogger(__name__)

PATIENCE_FAILURES = 2
"""Said after so many failures in a row: nodes that start together do not find each other at the first try."""

DIALLED_AGAIN = f"it is dialled again, every {MAX_RETRY_S:.0f} s or sooner"

_PEER_ID = re.compile(r"remote_peer_id_from_pubkey=(\w+)")


class Troubles:
    """Remembers what was said of whom.  Only peers that the operator named are worth a line."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def note(self, contact: Contact | None, trouble: str, then: str = DIALLED_AGAIN, *, at_once: bool = False) -> None:
        """A peer was not reached because of ``trouble``; ``then`` is what happens next."""
        if contact is None or not contact.bootstrap or self._said.get(contact.peer_id) == trouble:
            return
        if at_once or contact.failures + 1 >= PATIENCE_FAILURES:
            self._said[contact.peer_id] = trouble
            log.info("peer %s is not reached: %s; %s", contact.peer_id, trouble, then)

    def over(self, peer_id: str, address: str) -> None:
        """A peer is here."""
        if self._said.pop(peer_id, None) is not None:
            log.info("peer %s is reached now, at %s", peer_id, address)


def is_another_peer(error: BaseException | None) -> bool:
    """Whether a dial found a peer, and another than was looked for."""
    return error is not None and any(isinstance(cause, PeerIDMismatchesPubkey) for cause in _causes(error))


def why_not_dialled(error: BaseException, own_id: str) -> str:
    """The sentence about an address for which the library raised ``error``."""
    causes = list(_causes(error))
    mismatch = next((cause for cause in causes if isinstance(cause, PeerIDMismatchesPubkey)), None)
    if mismatch is not None:
        found = _PEER_ID.search(str(mismatch))
        if found and found[1] == own_id:
            return "this node itself answers there"
        return f"another peer answers there, {found[1] if found else 'of another id'}"
    if isinstance(error, Unwelcome):
        return "it is there and not let in now"
    if any(isinstance(cause, UpgradeFailure) for cause in causes):
        return "what answers there is not a peer of this kind"
    numbered = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    if numbered is not None:
        return "nobody can connect to it (" + (numbered.strerror or "").rpartition(": ")[2] + ")"
    return "nobody can connect to it"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, and all that led to it."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _causes(part)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause)
