"""Dialling: whom, where and when, and what is learned from it about addresses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import trio
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID

from p2p.addresses import PeerAddress
from p2p.book import Contact, PeerBook
from p2p.hearsay import Hearsay
from p2p.host import HANDSHAKE_TIMEOUT_S, GuardedHost, Unwelcome
from p2p.names import Unresolved, resolve
from p2p.troubles import Troubles, is_another_peer, why_not_dialled

log = logging.getLogger(__name__)

MAX_DIALS = 8
"""Handshakes cost a core a hundredth of a second each; eight at once leave room for the rest."""

MAX_RUMOURS = 4
"""Of them to peers that were only heard of: what does not answer takes seconds, and others are waiting."""

TRY_AGAIN_S = 30.0
"""When the budget for what strangers say is used up."""

IDLE_TICK_S = 1.0
"""How late the end of a ban or of a wait may be noticed."""


@dataclass
class _Attempt:
    """What came of dialling a contact."""

    troubles: list[str] = field(default_factory=list)
    is_here: bool = False


class Dialler:
    """Dials the contacts of a book that ``wants`` names, and proves addresses.  ``is_linked`` says who is connected."""

    def __init__(
        self,
        host: GuardedHost,
        book: PeerBook,
        troubles: Troubles,
        wants: Callable[[Contact], bool],
        is_linked: Callable[[str], bool],
    ) -> None:
        self._host = host
        self._book = book
        self._troubles = troubles
        self._wants = wants
        self._is_linked = is_linked
        self._hearsay = Hearsay()
        self._own_id = str(host.get_id())
        self._wake = trio.Event()
        self._proofs = trio.CapacityLimiter(MAX_RUMOURS)

    def wake(self) -> None:
        """Somebody may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Dial who is due until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                next_at = self._dial_due(nursery)
                self._wake = trio.Event()
                with trio.move_on_at(next_at):
                    await self._wake.wait()

    async def prove(self, address: PeerAddress) -> bool:
        """Whether a numeric address is right that a connected peer claims.  Waits while there is too much to prove."""
        while not self._book.is_proven(address):
            async with self._proofs:
                if self._hearsay.begin(address):
                    return await self._prove(address)
            await trio.sleep(TRY_AGAIN_S)
        return True

    def _dial_due(self, nursery: trio.Nursery) -> float:
        """Start what is due.  When to look again."""
        now = trio.current_time()
        next_at = now + IDLE_TICK_S
        dialling = [contact for contact in self._book if contact.dialling]
        rumours = sum(not contact.is_known for contact in dialling)
        count = len(dialling)
        for contact in self._book:
            if contact.due_at > now:
                next_at = min(next_at, contact.due_at)
                continue
            has_room = count < MAX_DIALS and (contact.is_known or rumours < MAX_RUMOURS)
            if has_room and not contact.dialling and self._wants(contact):
                count += 1
                rumours += not contact.is_known
                contact.dialling = True
                nursery.start_soon(self._dial, contact)
        return next_at

    async def _dial(self, contact: Contact) -> None:
        attempt = _Attempt()
        for address in contact.addresses:
            if address in contact.told:
                await self._dial_rumour(contact, address, attempt)
            else:
                await self._dial_known(address, attempt)
            if attempt.is_here:
                break
        self._conclude(contact, attempt)
        contact.dialling = False
        self.wake()

    def _conclude(self, contact: Contact, attempt: _Attempt) -> None:
        now = trio.current_time()
        if attempt.is_here:
            return
        if attempt.troubles:
            self._troubles.note(contact, ", ".join(attempt.troubles))
            self._book.failed(contact, now)
        else:
            self._book.postpone(contact, now + TRY_AGAIN_S)

    async def _dial_known(self, address: PeerAddress, attempt: _Attempt) -> None:
        try:
            numeric = await resolve(address)
        except Unresolved as error:
            attempt.troubles.append(f"{address.where}: {error}")
            return
        for each in numeric:
            failure = await self._connect(each, attempt)
            if attempt.is_here:
                return
            at = address.where if each == address else f"{address.where}, {each.where}"
            attempt.troubles.append(f"{at}: {self._why(failure)}")

    async def _dial_rumour(self, contact: Contact, address: PeerAddress, attempt: _Attempt) -> None:
        if not self._hearsay.begin(address):
            if self._hearsay.is_shut(address):
                self._book.mistaken(contact, address)
            return
        error = await self._connect(address, attempt)
        if self._book.is_proven(address):
            self._hearsay.reached(address)
        elif attempt.is_here or is_another_peer(error):  # by its own dial at the same moment, or it was a lie
            self._hearsay.spare(address)
        if not attempt.is_here:
            attempt.troubles.append(f"{address.where}: {self._why(error)}")
            self._book.mistaken(contact, address)

    async def _connect(self, address: PeerAddress, attempt: _Attempt) -> SwarmException | None:
        """Dial a numeric address.  What went wrong, None if it took too long or the peer is here."""
        # Past the library's own dialling by peer id, which refuses a peer for a minute after one failure.
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT_S):
                await self._host.swarm.dial_addr(address.multiaddr, ID.from_base58(address.peer_id))
                self._book.reached(address, trio.current_time())
                attempt.is_here = True
        except Unwelcome as error:
            self._book.reached(address, trio.current_time())
            attempt.is_here = self._is_linked(address.peer_id)
            return error
        except SwarmException as error:
            log.debug("dialling %s failed: %s", address, error)
            attempt.is_here = self._is_linked(address.peer_id)
            return error
        return None

    async def _prove(self, address: PeerAddress) -> bool:
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT_S):
                await self._host.swarm.prove(address.multiaddr, ID.from_base58(address.peer_id))
                self._hearsay.reached(address)
                self._book.reached(address, trio.current_time())
                return True
        except SwarmException as error:
            if is_another_peer(error):
                self._hearsay.spare(address)
            log.debug("%s is not reached at %s", address.peer_id, address.where)
        return False

    def _why(self, error: SwarmException | None) -> str:
        if error is None:
            return f"no answer within {HANDSHAKE_TIMEOUT_S:.0f} s"
        return why_not_dialled(error, self._own_id)
