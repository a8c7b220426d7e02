"""What holds for all tests of this room."""

import pytest

from tests.unit.p2p.net import PATIENCE_S


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of a connection share this process: that it is slow does not mean that nobody is there."""
    for name in ("p2p.host.HANDSHAKE_TIMEOUT_S", "p2p.dialler.HANDSHAKE_TIMEOUT_S", "p2p.host.NEGOTIATION_TIMEOUT_S"):
        monkeypatch.setattr(name, PATIENCE_S)
