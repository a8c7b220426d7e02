"""A home that joins by state in a simulated world: by the code of nodes, from another's disk, beside a peer that lies.

Its process dies now and then, and goes on.  Messages are not simulated: who says what is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random

from chain.base.errors import Refused
from chain.branches.blocktree import Judged
from chain.branches.lightchain import LightChain
from chain.consensus.headers import Header
from chain.content.blocks import Block, Heading
from chain.content.genesis import Genesis
from chain.disk.newcomer import Newcomer
from chain.disk.reader import Reader
from chain.disk.shelves import Shelves
from scripts.simulation.settings import Violation

# Headings, and parts of the state, between two deaths at most.
_HEADINGS, _PARTS = 60, 6
_HONEST, _LIAR = "honest", "liar"


def arrive(path: Path, genesis: Genesis, blocks: Iterable[Block], target: Header, source: Path, seed: int) -> None:
    """Let the home whose database is at ``path`` get the state of ``target`` from the database at ``source``.

    ``target`` stands on the chain of these blocks.  Raises :class:`Violation` where it does not come to that.
    """
    random, headings = Random(seed), [Heading(block.header, block.ballot) for block in blocks]
    with closing(Shelves(lambda: Reader(source, genesis))) as shelves:
        while True:
            with closing(Newcomer(path, genesis)) as newcomer:
                if _goes_on(newcomer, headings, target, shelves, random):
                    newcomer.finish(lambda _count: None)
                    return


def _goes_on(newcomer: Newcomer, headings: list[Heading], target: Header, shelves: Shelves, random: Random) -> bool:
    """One process of it; whether all is there."""
    chain = newcomer.chain
    for heading in headings[chain.head.header.height :][: random.randrange(1, _HEADINGS)]:
        chain.add(heading)
        newcomer.follow(chain, [heading])
    if newcomer.target is None and chain.final.header.height >= target.height:
        newcomer.aim(_judged(chain, target))
    for _ in range(random.randrange(1, _PARTS)):
        _ask(newcomer, shelves, random)
    return newcomer.is_whole


def _ask(newcomer: Newcomer, shelves: Shelves, random: Random) -> None:
    joining = newcomer.joining
    for peer, request in [] if joining is None else list(joining.requests([_HONEST, _LIAR], 0)):
        reply = shelves.give(request, 0)
        if peer == _HONEST:
            newcomer.take(peer, request, reply, 0)
            continue
        at = random.randrange(len(reply))
        try:
            newcomer.take(peer, request, reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :], 0)
        except Refused:
            continue
        raise Violation("a part of the state that was altered is taken for right")


def _judged(chain: LightChain, target: Header) -> Judged:
    """A header that was just final, with the votes after it."""
    judged = chain.get(target.id)
    if judged is None:
        raise Violation(f"height {target.height} is final up to {chain.final.header.height}, and not known any more")
    return judged
