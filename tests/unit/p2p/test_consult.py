"""A visitor that is not let in says why, in the words of the one that it visits."""

from __future__ import annotations

import pytest

from p2p import host as host_module
from p2p.addresses import parse_bootstrap
from p2p.consult import consult
from p2p.peers import PeerSettings
from tests.unit.p2p.net import GENESIS, PATIENCE_S, peer_id_of, running


@pytest.mark.parametrize(
    ("settings", "trouble"),
    [
        (PeerSettings(private=True), "it is connected to none but the peers that its operator named"),
        (PeerSettings(max_strangers=0), "it has no place for another stranger"),
    ],
    ids=["private", "full"],
)
async def test_a_visitor_is_told_why_it_is_not_let_in(
    settings: PeerSettings, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.consult.PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(host_module, "FAREWELL_S", 5.0)
    async with running(1, peers=settings) as node:
        (opinion,) = await consult([parse_bootstrap(node.address)], GENESIS, peer_id_of(2))
        assert opinion.trouble.startswith(trouble)
