"""One connection to a peer, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import trio
from libp2p.abc import INetConn

from p2p.addresses import PeerAddress, is_believable, version_of
from p2p.book import MAX_ADDRESSES
from p2p.library import remote_of
from p2p.lobby import MEMORY_S, Use
from p2p.refusals import Refusal


class Link:
    """One connection, from the moment the library reports it until it is gone."""

    def __init__(self, peer_id: str, connection: INetConn, now: float) -> None:
        self.peer_id = peer_id
        self.connection = connection
        muxed_conn: Any = connection.muxed_conn
        self.direction = "outbound" if muxed_conn.is_initiator else "inbound"
        self.remote_host, port = remote_of(muxed_conn)
        self.address = f"/{version_of(self.remote_host)}/{self.remote_host}/tcp/{port}"
        self.opened_at = now
        self.scope = trio.CancelScope()
        self.closed = trio.Event()
        self.greeted = trio.Event()
        self.hello: bytes | None = None
        self.up = False
        self.rtt_ms: float | None = None
        self.claimed: list[PeerAddress] = []
        self.used: dict[Use, float] = {}
        self.gives_way = False
        self.farewell: Refusal | None = None  # why we send it away

    @property
    def sent_us_away(self) -> Refusal | None:
        """Why the peer does, once it said so."""
        muxed_conn: Any = self.connection.muxed_conn
        return cast(Refusal | None, muxed_conn.farewell)

    def claim(self, addresses: Iterable[PeerAddress]) -> None:
        """Note where the peer says that it is: as it means that here, and what it can mean from where it is."""
        seen = (address.seen_from(self.remote_host) for address in addresses)
        self.claimed = [each for each in seen if is_believable(each.host, self.remote_host)][:MAX_ADDRESSES]

    def use(self, now: float) -> Use:
        """What it was good for of late."""
        return max((use for use, at in self.used.items() if now - at <= MEMORY_S), default=Use.NONE)
