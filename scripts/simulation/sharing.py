"""What all nodes of one history make of the same, made once: a function of nothing but its arguments has one result.

Bytes are read once, and a header is judged once on what is the same votes, object by object: nodes that hold other
votes after one block, equal or not, judge for themselves.  So do the newcomer that follows what is final
(:mod:`scripts.simulation.effects`) and whoever executes a chain again (:mod:`scripts.simulation.checks`), which is how
it would show that a result depends on more than the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from types import ModuleType
from unittest.mock import patch

from chain.branches import blocktree
from chain.consensus.ballots import Ballot
from chain.consensus.headers import Header
from chain.consensus.votes import Votes
from chain.content import blocks
from chain.protocol import admission, skeleton
from chain.register import governance, members, validators

Judge = Callable[[Header, Ballot, Votes, bytes], Votes]

# By its name, what depends on nothing but bytes, and where it is used.
OF_BYTES: tuple[tuple[str, tuple[ModuleType, ...]], ...] = (
    ("decode_header", (admission, blocks)),
    ("decode_ballot", (admission, blocks)),
    ("decode_attestation", (admission,)),
    ("attestation_batch", (admission,)),
    ("batch", (admission,)),
    ("check_public_key", (governance, members, validators)),
)


@contextmanager
def shared() -> Iterator[None]:
    """Whatever is in force now is done once for all nodes."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(Votes, "genesis", lru_cache(None)(Votes.genesis)))
        for name, modules in OF_BYTES:
            once = lru_cache(None)(getattr(modules[0], name))
            for module in modules:
                stack.enter_context(patch.object(module, name, once))
        judge_once = _once(vars(blocktree)["judge"])
        for module in (blocktree, skeleton):
            stack.enter_context(patch.object(module, "judge", judge_once))
        yield


def _once(judge: Judge) -> Judge:
    """Each header with its ballot is judged once on the same votes, which are kept: so their identity is their own."""
    known: dict[tuple[bytes, bytes, int], tuple[Votes, Votes]] = {}  # the votes after and before

    def judge_once(header: Header, ballot: Ballot, votes: Votes, chain_id: bytes) -> Votes:
        key = header.id, ballot.raw, id(votes)
        if key not in known:
            known[key] = judge(header, ballot, votes, chain_id), votes
        return known[key][0]

    return judge_once
