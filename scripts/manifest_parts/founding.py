"""The keys, the genesis and the clients of a manifest's network: all follow from its seed, in either runner."""

from __future__ import annotations

from hashlib import sha256

from chain.base.keys import SecretKey
from chain.content.actions import Enrol
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.transactions import VerifiedTransaction, sign_transaction
from scripts.manifest_parts.things import Manifest
from scripts.replay import node_seed

POLICY = "marketplace"
# A cut or a stop does not make what waits expire.
EXPIRY_BLOCKS = 1_000_000
HEARTBEAT_SLOTS = 20


def secrets_of(manifest: Manifest) -> dict[str, SecretKey]:
    """The key of each node, by its name."""
    seed = _digest(manifest, b"nodes")
    return {name: SecretKey(node_seed(seed, at)) for at, name in enumerate(manifest.names)}


def genesis_of(manifest: Manifest, genesis_time_ms: int) -> Genesis:
    """The genesis.  Raises :class:`~chain.base.errors.OperatorError`."""
    secrets = secrets_of(manifest)
    return found_genesis(
        "manifest",
        shipped_policy(POLICY),
        [secrets[validator.name].public for validator in manifest.validators],
        weights=[validator.weight for validator in manifest.validators],
        genesis_time_ms=genesis_time_ms,
        slot_ms=manifest.slot_ms,
        heartbeat_slots=HEARTBEAT_SLOTS,
        max_expiry_blocks=EXPIRY_BLOCKS,
    )


class Clients:
    """Whoever enrols while there is load; each signs once."""

    def __init__(self, manifest: Manifest, genesis: Genesis) -> None:
        self._seed = _digest(manifest, b"clients")
        self._genesis = genesis
        self._count = 0

    def offer(self, count: int) -> list[VerifiedTransaction]:
        """The next so many."""
        self._count += count
        return [self._enrolment(number) for number in range(self._count - count, self._count)]

    def _enrolment(self, number: int) -> VerifiedTransaction:
        newcomer = SecretKey(sha256(self._seed + number.to_bytes(8, "big")).digest())
        return sign_transaction(newcomer, self._genesis.id, 0, EXPIRY_BLOCKS, Enrol())


def _digest(manifest: Manifest, what: bytes) -> bytes:
    return sha256(b"goodfaith/manifest/1" + what + manifest.seed.to_bytes(8, "big")).digest()
