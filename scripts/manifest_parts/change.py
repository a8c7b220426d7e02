"""The motion that replaces a validator: who signs what, and when it can be offered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from chain.base.keys import SecretKey
from chain.content.actions import Approve, Consent, Propose
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.proposals import ReplaceValidator
from chain.content.transactions import VerifiedTransaction
from scripts.manifest_parts.things import Manifest, Replace
from scripts.municipal.cast import Cast, Player
from scripts.municipal.director import Director
from scripts.municipal.scenes import Chapter, Do, Scene
from scripts.recount.lives import OPEN
from scripts.recount.rows import proposal_row


class Changes:
    """Reads the final chain, and says what is to be submitted for the replacements that have begun."""

    def __init__(self, manifest: Manifest, genesis: Genesis, secrets: Mapping[str, SecretKey]) -> None:
        self._genesis = genesis
        self._players = {name: Player(name, secret) for name, secret in secrets.items()}
        self._cast = Cast(b"", list(secrets.values()), next(iter(secrets.values())))
        self._seats = [validator.name for validator in manifest.validators]
        self._blocks: list[Block] = []
        self._directors: list[Director] = []

    def begin(self, event: Replace) -> None:
        """The validators want it from now on."""
        director = Director(self._genesis, self._cast, lambda _text: None)
        director.begin(iter([Chapter("a replacement", [self._scene(director, event)])]))
        self._seats[self._seats.index(event.leaving)] = event.newcomer
        for block in self._blocks:
            director.observe(block)
        self._directors.append(director)

    def observe(self, block: Block) -> None:
        """The next final block."""
        self._blocks.append(block)
        for director in self._directors:
            director.observe(block)

    def offers(self) -> list[VerifiedTransaction]:
        """What is to be submitted now, to any node."""
        return [each for director in self._directors if not director.is_done for each in director.offers()]

    def _scene(self, director: Director, event: Replace) -> Scene:
        leaving, newcomer = self._players[event.leaving], self._players[event.newcomer]
        mover, *voters = [self._players[name] for name in self._seats if name != event.leaving]
        proposal = ReplaceValidator(leaving.key, newcomer.key)
        yield [Do(mover, Propose(proposal))]
        motions, row = director.paper.motions, proposal_row(proposal)
        number = max(at for at in range(len(motions)) if motions[at].proposal == row)
        is_open = partial(_is_open, director, number)
        yield [Do(newcomer, Consent(number), is_open), *(Do(voter, Approve(number), is_open) for voter in voters)]


def _is_open(director: Director, number: int) -> bool:
    return director.paper.motions[number].status == OPEN
