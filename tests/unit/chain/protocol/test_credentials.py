"""Whose machine a peer is: a signature that helps nobody else."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason, Refused
from chain.protocol.credentials import NOBODY, Credential, check_credential, sign_credential
from tests.support.world import secret

CHAIN = bytes(32)
GOOD = sign_credential(secret(1), CHAIN, "12D3")


def test_it_holds_for_its_peer() -> None:
    check_credential(GOOD, CHAIN, "12D3")
    check_credential(NOBODY, CHAIN, "12D3")
    assert GOOD.key == secret(1).public


@pytest.mark.parametrize(("credential", "chain_id", "peer"), [
    (GOOD, CHAIN, "12D4"),
    (GOOD, b"\x01" * 32, "12D3"),
    (Credential(secret(2).public, GOOD.signature), CHAIN, "12D3"),
    (Credential(GOOD.key, bytes(64)), CHAIN, "12D3"),
    (Credential(bytes(32), bytes(64)), CHAIN, "12D3"),
])  # fmt: skip
def test_any_other_is_refused(credential: Credential, chain_id: bytes, peer: str) -> None:
    with pytest.raises(Refused) as refused:
        check_credential(credential, chain_id, peer)
    assert refused.value.reason is Reason.BAD_SIGNATURE
