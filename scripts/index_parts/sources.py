"""Where the blocks come from: a running node, or a home."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from chain.base.errors import OperatorError, Refused
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.disk.stored import trusted_block
from p2p.client import GENESIS, STATUS, Client
from p2p.local.endpoints import ENDPOINTS
from scripts.chain_view import home_in, open_view

(_RAW,) = (each for each in ENDPOINTS if each.path == "/blocks/{which}/raw")


class Tip(NamedTuple):
    """How far a chain goes, and how far it is final."""

    height: int
    id: bytes
    final_height: int


class Source(Protocol):
    """A chain to follow.  Asking raises :class:`OperatorError`, and of a node :class:`p2p.client.NodeAway`."""

    def genesis(self) -> Genesis:
        """Which chain it is."""

    def tip(self) -> Tip:
        """How far it goes now."""

    def blocks(self, start: int, count: int) -> list[Block]:
        """So many blocks of the main chain from a height on, or as many as there are; they may be of two moments."""


class OfHome:
    """A home, also beside its running node."""

    def __init__(self, home: Path) -> None:
        self._home = home_in(home)

    def genesis(self) -> Genesis:
        with open_view(self._home) as view:
            return view.genesis

    def tip(self) -> Tip:
        with open_view(self._home) as view:
            return Tip(view.head_height, view.head.id, view.finalized_height)

    def blocks(self, start: int, count: int) -> list[Block]:
        with open_view(self._home) as view:
            return list(view.reader.blocks(start, count))


class OfNode:
    """A running node, by the URL of its HTTP API."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def genesis(self) -> Genesis:
        return self._client.ask(GENESIS)

    def tip(self) -> Tip:
        status = self._client.ask(STATUS)
        return Tip(status["height"], bytes.fromhex(status["head_id"]), status["finalized_height"])

    def blocks(self, start: int, count: int) -> list[Block]:
        top = min(start + count - 1, self.tip().height)
        return [self._block(height) for height in range(start, top + 1)]

    def _block(self, height: int) -> Block:
        try:
            return trusted_block(self._client.take(_RAW.url(which=height)))
        except Refused as refusal:
            raise OperatorError(
                f"{self._client.url} sends something else than block {height:,}: {refusal}"
            ) from refusal
