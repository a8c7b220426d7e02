"""The engine of a node that starts, as its home has it."""

from __future__ import annotations

import secrets

import structlog

from chain.consensus.statements import TAG_BYTES
from chain.disk.storage import Storage
from chain.protocol.engine import Engine
from p2p.local.home import Home

log = structlog.get_logger("node")


def wake(home: Home, storage: Storage) -> Engine:
    """The engine as it was when the home's last node stopped.  Raises :class:`OperatorError`."""
    storage.bind(home.secret.public)
    chain, signing = storage.load()
    secret = None if storage.is_exported else home.secret
    fresh_tag, restart = secrets.token_bytes(TAG_BYTES), storage.restart
    named = [address.rsplit("/", 1)[-1] for address in home.config.peers]
    engine = Engine(
        home.genesis, chain, secret=secret, signing=signing, fresh_tag=fresh_tag, restart=restart, named=named
    )
    if storage.is_set_back:
        log.warning(
            "set_back",
            why=f"{home.database} lacks what was durable in it: the disk lost it, or an older copy took its place; "
            "what this validator signed last is not known any more",
        )
    if secret is None:
        log.warning("exported", why="its signing state left this home: it follows the chain and signs nothing")
    return engine
