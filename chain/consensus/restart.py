"""A restart: two thirds of the validators agree, outside the chain, on the block from which it goes on.

Where more validators than are tolerated lost their signing states at once, nothing can become final any more, so no
transaction can renew their tags either: no rule of the chain's own helps, and people have to.  They agree on a block
that descends from all that anyone knows to be final, and each signs it::

    payload   = [version, tip, height, salt]
    signature = Ed25519(key, "goodfaith/restart/1" || chain id || payload)

A block on that tip whose ballot holds signatures of more than two thirds of the weight makes the tip final, and from
then on every validator speaks from a new signing state, whose tag follows from the salt and its key.
Source: protocol 3.7.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

from chain.base.codec import U64_MAX, array, blob, encode, integer
from chain.base.errors import Reason, Refused
from chain.base.keys import KEY_BYTES, SIGNATURE_BYTES, SecretKey, verify
from chain.consensus.electorate import BATCH_MAX, MAX_TAGS, Tag
from chain.consensus.statements import TAG_BYTES
from chain.consensus.votes import Votes

SIGNING_TAG = b"goodfaith/restart/1"
TAG_DOMAIN = b"goodfaith/restart-tag/1"
VERSION = 1
SALT_BYTES = 16
# Signatures of a whole set.
MAX_RESTART_BYTES = 32_768


class Restart(NamedTuple):
    """The chain goes on from ``tip``, at ``height``; ``signatures`` are ``(key, signature)``, by key, each key once.

    ``salt`` is random: no two restarts give anybody the same tag.
    """

    tip: bytes
    height: int
    salt: bytes
    signatures: tuple[tuple[bytes, bytes], ...] = ()

    def is_same(self, other: Restart) -> bool:
        """Whether another is about the same, whoever signed it."""
        return self[:3] == other[:3]

    def tag(self, key: bytes) -> bytes:
        """With which tag ``key`` speaks afterwards."""
        return sha256(TAG_DOMAIN + self.salt + key).digest()[:TAG_BYTES]

    def signed(self, secret: SecretKey, chain_id: bytes) -> Restart:
        """With one more signature."""
        signatures = dict(self.signatures) | {secret.public: secret.sign(self._message(chain_id))}
        return self._replace(signatures=tuple(sorted(signatures.items())))

    def signers(self, chain_id: bytes) -> frozenset[bytes]:
        """Who signed.  Raises :class:`Refused` ``BAD_SIGNATURE`` where a signature is not right."""
        message = self._message(chain_id)
        for key, signature in self.signatures:
            if not verify(key, message, signature):
                raise Refused(Reason.BAD_SIGNATURE, "a restart is not signed by whom it names")
        return frozenset(key for key, _ in self.signatures)

    def _message(self, chain_id: bytes) -> bytes:
        return SIGNING_TAG + chain_id + encode((VERSION, self.tip, self.height, self.salt))


def restarted(votes: Votes, restart: Restart | None, tip: bytes, chain_id: bytes) -> Votes:
    """The votes after ``tip``, which were ``votes``, as the block on it begins that holds this restart, if any.

    A change of validators that was under way has lapsed.  Of more tags than are remembered the oldest are forgotten, of
    keys that have no say: all that they can have said is final.  Raises :class:`Refused` (``WRONG_RESTART``,
    ``BAD_SIGNATURE``) where it is about another block, or the genesis, or not agreed.
    """
    if restart is None:
        return votes
    if (restart.tip, restart.height) != (tip, votes.height):
        raise Refused(Reason.WRONG_RESTART, f"it goes on from another block at height {restart.height}")
    if not restart.height:
        raise Refused(Reason.WRONG_RESTART, "nothing goes on from the genesis but another network")
    electorate = votes.electorate
    if not electorate.is_enough(restart.signers(chain_id)):
        raise Refused(Reason.WRONG_RESTART, "not signed by more than two thirds of the weight")
    renewed = tuple(Tag(key, restart.tag(key), votes.height) for key in sorted(electorate.speakers))
    others = tuple(tag for tag in electorate.tags if tag.key not in electorate.speakers)
    kept = others[max(0, len(others) + len(renewed) - MAX_TAGS) :]
    return Votes.start(replace(electorate, phase=None, tags=(*kept, *renewed)), votes.batch, votes.height)


def read_restart(fields: Any) -> Restart:
    """Read the decoded tuple of a :class:`Restart`.  Raises :class:`Refused` ``MALFORMED``; checks no signature."""
    tip, height, salt, signatures = array(fields, 4, 4, "a restart")
    rows = []
    for row in array(signatures, 0, BATCH_MAX, "signatures"):
        key, signature = array(row, 2, 2, "a signature")
        rows.append((blob(key, KEY_BYTES, "a key"), blob(signature, SIGNATURE_BYTES, "a signature")))
    if rows != sorted(dict(rows).items()):
        raise Refused(Reason.MALFORMED, "signatures that are not in order, each key once")
    return Restart(
        blob(tip, 32, "the tip"),
        integer(height, 0, U64_MAX, "the height"),
        blob(salt, SALT_BYTES, "a salt"),
        tuple(rows),
    )
