"""Who takes part in the story, each with a key that follows from the network's seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from chain.base.keys import SecretKey
from chain.content.proposals import ARBITER, REGISTRAR

MEMBERS = 200
# One rules, and three others on an appeal.
ARBITERS = 4

_DOMAIN = b"goodfaith/municipal/1"


@dataclass(frozen=True, slots=True)
class Player:
    """Somebody with a name for people and a key for the chain."""

    name: str
    secret: SecretKey

    @property
    def key(self) -> bytes:
        """The public key."""
        return self.secret.public


@dataclass(frozen=True, slots=True)
class Institution:
    """What an authority shall be accredited for."""

    player: Player
    rights: int
    categories: tuple[int, ...]


class Company:
    """Those who play in a story, found by their keys; ``institutions`` are to be accredited."""

    def __init__(
        self, validators: Sequence[Player], institutions: Sequence[Institution], others: Sequence[Player]
    ) -> None:
        self.validators = validators
        self.institutions = institutions
        self.everybody = [*validators, *(institution.player for institution in institutions), *others]
        self._by_key = {player.key: player for player in self.everybody}

    def player(self, key: bytes) -> Player:
        """Whoever has this key."""
        return self._by_key[key]

    def name(self, key: bytes) -> str:
        """The name of whoever has this key."""
        return self._by_key[key].name


class Cast(Company):
    """Everybody of a city.  ``members`` are numbered from 1; ``heir`` is the key that one of them moves to, ``found``
    the one that another gets from its ``guardians``.
    """

    def __init__(self, seed: bytes, validators: Sequence[SecretKey], newcomer: SecretKey) -> None:
        def player(name: str) -> Player:
            return Player(name, SecretKey(sha256(_DOMAIN + seed + name.encode()).digest()))

        self.newcomer = Player("the new validator", newcomer)
        self.civil = player("the civil office")
        self.bank = player("the savings bank")
        self.market = player("the market office")
        self.arbiters = [player(f"arbiter {number}") for number in range(1, ARBITERS + 1)]
        self._members = [player(f"member {number}") for number in range(1, MEMBERS + 1)]
        self.heir = player("member 19, with a new key")
        self.found = player("member 40, with a recovered key")
        self.guardians = self._members[150:153]
        institutions = (
            Institution(self.civil, REGISTRAR, (10, 12, 101, 111, 112, 113)),
            Institution(self.bank, 0, (1, 2, 3, 4, 6, 7)),
            Institution(self.market, 0, (8, 9, 13, 14, 15)),
            *(Institution(arbiter, ARBITER, ()) for arbiter in self.arbiters),
        )
        seated = [Player(f"validator {number}", secret) for number, secret in enumerate(validators, 1)]
        super().__init__(seated, institutions, [self.newcomer, *self._members, self.heir, self.found])

    @property
    def members(self) -> Sequence[Player]:
        """The first is member 1."""
        return self._members

    def member(self, number: int) -> Player:
        """Member ``number``, from 1."""
        return self._members[number - 1]
