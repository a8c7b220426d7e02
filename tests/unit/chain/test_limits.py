"""The numbers that every node of a network must share.

A node with another one would take blocks that others refuse, or the other way round: to change one of these is to
change the chain's format.  What each node may choose for itself, as the size of its mempool, is not here.
"""

from __future__ import annotations

from typing import Any

import pytest

from chain.consensus import attestations, ballots, electorate, headers, restart, statements, votes
from chain.content import actions, blocks, genesis, identities, kinds, language, proposals, tables
from chain.register import arbiters, governance, leaving, offences, registry, validators
from chain.tree import stateproof

LIMITS: list[tuple[Any, dict[str, int]]] = [
    (arbiters, {"PANEL": 3, "MAJORITY": 2, "MAX_ARBITERS": 64}),
    (attestations, {"VERSION": 1, "MAX_ATTESTATION_BYTES": 256}),
    (ballots, {"MAX_CARRIED": 1_024, "MAX_BALLOT_BYTES": 160_000}),
    (blocks, {"MAX_BLOCK_BYTES": 980_000, "MAX_BODY_BYTES": 800_000, "MAX_BLOCK_TRANSACTIONS": 4_096}),
    (electorate, {"BATCH_MAX": 256, "WEIGHT_MAX": 2**32 - 1, "GATE_BLOCKS": 128, "MAX_TAGS": 4_096}),
    (genesis, {"MAX_VALIDATORS": 101}),
    (governance, {"MAX_OPEN_MOTIONS": 8, "MAX_WAIT_DAYS": 366}),
    (offences, {"EVIDENCE_MAX_AGE_BLOCKS": 200_000}),
    (identities, {"MAX_GUARDIANS": 7}),
    (leaving, {"KEYS_A_VISIT": 16}),
    (headers, {"VERSION": 2, "MAX_HEADER_BYTES": 512}),
    (language, {"MAX_TIERS": 32, "MAX_SEVERITIES": 8, "MAX_CATEGORIES": 256, "MAX_ATTRIBUTES": 16}),
    (language, {"SCORE_LIMIT": 10**12, "MAX_DAYS": 36_525, "NO_LIMIT": 2**32 - 1}),
    (proposals, {"REGISTRAR": 1, "ARBITER": 2, "MAX_GRANT": 64, "MAX_WEIGHT": 1_000_000}),
    (registry, {"MAX_DUE_A_BLOCK": 2_000}),
    (restart, {"VERSION": 1, "SALT_BYTES": 16}),
    (statements, {"TAG_BYTES": 16}),
    (stateproof, {"HASH_BYTES": 32, "BUCKET": 8, "MAX_DEPTH": 256}),
    (tables, {"MAX_TEXT_CHARACTERS": 64}),
    (kinds, {"MAX_USUAL_BYTES": 1_024, "MAX_EVIDENCE_BYTES": 1_536, "MAX_TRANSACTION_BYTES": 24_512}),
    (actions, {"POINTS_LIMIT": 1_000_000, "SLOT_LIMIT": 2**48, "SALT_BYTES": 16}),
    (kinds, {"MAX_RECOVERY_BYTES": 1_280}),
    (validators, {"MAX_QUEUED": 64}),
    (votes, {"ROUNDS": 3, "CARRIED_PER_SPEAKER": 4}),
]


@pytest.mark.parametrize(("module", "limits"), LIMITS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_shared_number_is_what_it_always_was(module: Any, limits: dict[str, int]) -> None:
    assert {name: getattr(module, name) for name in limits} == limits
