"""How a home's node is found: by peers, as ``config.toml`` wants it, and on this machine by ``node.json``."""

from __future__ import annotations

from p2p.local.commandline import version

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from p2p.client import NODE_JSON, Announced
from p2p.local.config import HomeConfig
from p2p.local.home import PEER_BOOK, Home
from p2p.meshsub.router import DEFAULT_DROP_RATE
from p2p.network import TransportConfig
from p2p.peers import PeerSettings

if TYPE_CHECKING:
    from p2p.network import Transport

# Twice the announcements of one slot that anybody passes on.
DROPS_PER_SLOT = 4


def transport_config(home: Home) -> TransportConfig:
    """What a home says about its network."""
    config = home.config
    return TransportConfig(
        seed=home.network_seed,
        genesis_id=home.genesis.id,
        listen=tuple(config.listen),
        bootstrap=tuple(config.peers),
        seeds=tuple(config.seeds),
        book=home.path / PEER_BOOK,
        max_connections=max_connections(config),
        peers=peer_settings(config),
        ban_s=config.ban_s,
        agent=f"goodfaith/{version()}",
        drop_rate=(1_000 * DROPS_PER_SLOT / home.genesis.slot_ms, DEFAULT_DROP_RATE[1]),
    )


def peer_settings(config: HomeConfig) -> PeerSettings:
    """How many peers a configuration wants."""
    return PeerSettings(
        max_peers=config.max_peers,
        max_strangers=config.max_peers,
        private=config.private,
        external=config.external_address,
    )


def max_connections(config: HomeConfig) -> int:
    """How many connections a configuration allows."""
    return 2 * config.max_peers


def adopt_limits(transport: Transport, config: HomeConfig) -> None:
    """Let a running transport keep to other limits."""
    transport.peers.adopt(peer_settings(config), max_connections(config), config.ban_s)


@contextmanager
def published(home: Home, transport: Transport, url: str) -> Iterator[None]:
    """Keep ``node.json`` while the block runs.  Raises :class:`OperatorError` where it cannot be written."""
    did = did_from_key(home.secret.public)
    facts = Announced(os.getpid(), url, transport.peer_id, transport.listen_addresses, did)._asdict()
    path, draft = home.path / NODE_JSON, home.path / f"{NODE_JSON}.draft"
    try:
        draft.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written ({error.strerror}); make room and start the node again"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
