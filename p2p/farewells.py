"""Peers that part: each is told why by the other, and what was heard is said to the operator, with a remedy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import trio
from libp2p.abc import INetStream

from chain.base.errors import Refused
from p2p.book import PeerBook
from p2p.courtesy import identify
from p2p.frames import FrameReader, FrameRefused, StreamEnded
from p2p.host import GuardedHost, cut, say_why
from p2p.link import Link
from p2p.refusals import FAREWELL, MAX_REFUSAL_BYTES, Refusal, of_another
from p2p.reputation import Reputation
from p2p.troubles import Troubles

log = logging.getLogger(__name__)

FOREIGN_BAN_S = 600.0
"""A peer of another network stays one; it is tried again after ten minutes in case it was reconfigured."""

LEFT_ALONE = f"it is left alone for {FOREIGN_BAN_S / 60:.0f} minutes"

PATIENCE_S = 5.0
"""For the one frame in which a peer says why."""


class Farewells:
    """Says why to those that are sent away, and hears it.  ``prefix`` is that of the network's protocols."""

    def __init__(
        self,
        host: GuardedHost,
        prefix: str,
        links: Mapping[str, Link],
        book: PeerBook,
        troubles: Troubles,
        reputation: Reputation,
    ) -> None:
        self._host = host
        self._prefix = prefix
        self._links = links
        self._book = book
        self._troubles = troubles
        self._reputation = reputation
        host.set_stream_handler(FAREWELL, self._hear)

    async def part(self, link: Link) -> None:
        """Close a connection; its peer is told why, where there is a reason."""
        muxed_conn = link.connection.muxed_conn
        if link.farewell is not None and not link.closed.is_set():
            await say_why(muxed_conn, link.farewell, link.closed.wait)
        await cut(muxed_conn)

    def note(self, link: Link) -> None:
        """Say what the peer gave for a reason, if it did."""
        refusal, contact = link.sent_us_away, self._book.get(link.peer_id)
        if refusal is None:
            return
        words = refusal.in_words, refusal.remedy
        self._troubles.note(contact, f"{link.address}: {words[0]}", words[1], at_once=True)
        if not self._book.is_named(link.peer_id):
            log.info("peer %s at %s sends this node away: %s; %s", link.peer_id, link.address, *words)

    async def part_from_foreigner(self, link: Link) -> None:
        """A peer does not speak the protocols of this network: find out what it is, and tell it."""
        contact = self._book.get(link.peer_id)
        self._reputation.ban(link.peer_id, FOREIGN_BAN_S)
        identity = await identify(self._host, link.peer_id)
        protocols, agent = (identity.protocols, identity.agent) if identity is not None else ((), "")
        link.farewell, what = of_another(self._prefix, protocols, agent)
        trouble = f"it belongs to a foreign network, of another genesis or version: {what}"
        self._troubles.note(
            contact, f"{link.address}: {trouble}", f"{link.farewell.remedy}; {LEFT_ALONE}", at_once=True
        )
        if not self._book.is_named(link.peer_id):
            log.info("peer %s at %s is not let in: %s", link.peer_id, link.address, trouble)

    async def _hear(self, stream: INetStream) -> None:
        """A peer says why it sends us away: hang up, as that is all that is left to do."""
        muxed_conn: Any = stream.muxed_conn
        muxed_conn.farewell = await read_refusal(stream)
        link = self._links.get(str(muxed_conn.peer_id))
        if link is not None and link.connection.muxed_conn is muxed_conn:
            link.scope.cancel()


async def read_refusal(stream: INetStream) -> Refusal | None:
    """Why a peer sends us away; None where it is not understood."""
    try:
        with trio.fail_after(PATIENCE_S):
            return Refusal.decode(await FrameReader(stream).frame(MAX_REFUSAL_BYTES))
    except (StreamEnded, FrameRefused, Refused, trio.TooSlowError) as error:
        log.debug("peer %s sends us away for no reason: %r", stream.muxed_conn.peer_id, error)
        return None
