"""What ``follow.py`` does while it is connected: it tells what becomes final, and keeps it."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG

import secrets
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import trio

from chain.base.errors import OperatorError, Refused
from chain.base.keys import did_from_key, key_from_did
from chain.branches.lightchain import Contradiction, LightChain, read_checkpoint, restore, save
from chain.content.genesis import Genesis, load_genesis
from chain.documents.proof import Proven
from chain.documents.words import time_of
from p2p.network import TransportConfig
from p2p.watching import STALE_BLOCKS, Watch, open_watch
from scripts.console import print_json, short
from scripts.inspect_parts.offline import TRUST, proven_document, proven_finding
from scripts.inspect_parts.question import show

# For a first peer to answer, and then for the next headers to come.
PATIENCE_S = 60.0
# So long nothing is news before it is said what is waited for.
HUSH_S = 5.0
# The file is written so often at most; what is lost is checked again.
SAVE_S = 10.0


class Follower:
    """One run of the command."""

    def __init__(self, watch: Watch, file: Path, *, as_json: bool) -> None:
        self._watch = watch
        self._file = file
        self._as_json = as_json
        self._told = -1
        self._waited_for = ""
        self._saved_at = trio.current_time()
        self._saved_height = watch.chain.final.header.height

    # ------------------------------------------------------------------------------------------------- finality

    async def live(self) -> int:
        """Tell what becomes final until cancelled; the exit code where two chains contradict."""
        while True:
            chain = self._watch.chain
            if chain.contradiction is not None:
                return self._shout(chain.contradiction)
            if chain.is_anchored and self._watch.peers:
                self._tell(chain)
            self._save_now_and_then()
            with trio.move_on_after(HUSH_S) as hush:
                await self._watch.moved()
            if hush.cancelled_caught:
                self._say_what_is_waited_for()

    def _say_what_is_waited_for(self) -> None:
        """On stderr, where nothing can be told; the same sentence not twice in a row."""
        chain = self._watch.chain
        why = "" if self._watch.peers and chain.is_anchored else self._why_not()
        if why and why != self._waited_for:
            click.echo(f"waiting: {why}", err=True)
        self._waited_for = why

    def _tell(self, chain: LightChain) -> None:
        header = chain.final.header
        if self._as_json:
            if header.height != self._told:
                print_json(self._where())
                sys.stdout.flush()
        else:
            line = (
                f"final {header.height:,} {short(header.id)}  head {chain.head.header.height:,} of "
                f"{max(self._watch.claimed, chain.head.header.height):,}  {_count(len(self._watch.peers), 'peer')}"
            )
            if sys.stdout.isatty():
                click.echo(f"\r{line}\x1b[K", nl=False)
            elif header.height != self._told:
                click.echo(line)
        self._told = header.height

    def _where(self) -> dict[str, Any]:
        chain = self._watch.chain
        final = chain.final.header
        return {
            "network": chain.genesis.name,
            "height": final.height,
            "block": final.id.hex(),
            "state_root": final.state_root.hex(),
            "time": time_of(chain.genesis, final.slot),
            "head_height": chain.head.header.height,
            "claimed_height": self._watch.claimed,
            "checkpoint": None
            if chain.checkpoint is None
            else f"{chain.checkpoint.height}:{chain.checkpoint.id.hex()}",
            "peers": list(self._watch.peers),
            "refused": dict(self._watch.refused),
        }

    def _shout(self, found: Contradiction) -> int:
        liars = ", ".join(map(did_from_key, found.liars)) or "nobody that is remembered"
        sentence = (
            f"two final chains contradict each other at height {found.height:,} ({short(found.ours)} and "
            f"{short(found.theirs)}); both were signed by {liars}, {found.weight} of {found.total} of the weight: "
            "trust neither before the organisations of this network have said which one is theirs"
        )
        if self._as_json:
            document = {"ok": False, "height": found.height, "blocks": [found.ours.hex(), found.theirs.hex()]}
            weights = {"weight": found.weight, "total": found.total}
            print_json(
                {**document, "signed_both": list(map(did_from_key, found.liars)), **weights, "problem": sentence}
            )
        click.echo(f"{click.style('error:', fg='red')} {sentence}", err=True)
        return EXIT_WRONG

    # -------------------------------------------------------------------------------------------------- members

    async def member(self, did: str) -> int:
        """Answer where a member stands; the exit code."""
        try:
            key = key_from_did(did)
        except Refused as refusal:
            raise OperatorError(f"{did!r} is not the DID of a member: {refusal.detail}") from refusal
        await self._until(lambda: self._watch.has_caught_up or self._watch.chain.contradiction is not None)
        if self._watch.chain.contradiction is not None:
            return self._shout(self._watch.chain.contradiction)
        try:
            proven = await self._watch.newest_proof(key)
        except Refused as refusal:
            raise OperatorError(f"no peer proves it ({refusal}); name others with --peer, or try again") from refusal
        self._answer(proven)
        return 0

    def _answer(self, proven: Proven) -> None:
        chain = self._watch.chain
        behind = chain.final.header.height - proven.header.height
        document = {"ok": True, **proven_document(chain.genesis, proven), "final_height": chain.final.header.height}
        document |= {"fresh": behind <= STALE_BLOCKS, **TRUST}
        show(proven_finding(f"Proven, as of height {proven.header.height:,}, final", document), as_json=self._as_json)
        if behind > STALE_BLOCKS:
            click.echo(f"it is {behind:,} blocks old; no peer gives a newer one", err=True)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Raises :class:`OperatorError` where nothing moves for long."""
        while not condition():
            with trio.move_on_after(PATIENCE_S) as patience:
                await self._watch.moved()
            if patience.cancelled_caught:
                raise OperatorError(self._why_not())

    def _why_not(self) -> str:
        watch = self._watch
        if not watch.peers:
            return "no peer answers; is one of them up, and of the network of this genesis?"
        if watch.refused:
            peer, why = next(iter(watch.refused.items()))
            return f"peers bring nothing that can be followed ({peer}: {why}); name others with --peer"
        return "peers do not bring the headers that they claim to have; name others with --peer"

    # -------------------------------------------------------------------------------------------------- the file

    def _save_now_and_then(self) -> None:
        if trio.current_time() - self._saved_at >= SAVE_S:
            self.save()

    def save(self) -> None:
        """Keep what is final.  Raises :class:`OperatorError`."""
        chain = self._watch.chain
        self._saved_at = trio.current_time()
        if chain.contradiction is not None or chain.final.header.height == self._saved_height:
            return
        draft = self._file.with_name(f"{self._file.name}.draft")
        try:
            draft.write_bytes(save(chain))
            draft.replace(self._file)
        except OSError as error:
            raise OperatorError(
                f"{self._file} cannot be written: {error.strerror}; name another with --state"
            ) from error
        self._saved_height = chain.final.header.height


@asynccontextmanager
async def following(
    genesis_file: Path, peers: Sequence[str], checkpoint: str | None, file: Path, *, as_json: bool
) -> AsyncIterator[Follower]:
    """Follow, from where the file says, while the block runs.  Raises :class:`OperatorError`."""
    genesis = load_genesis(genesis_file)
    chain = _restored(genesis, file, checkpoint)
    config = TransportConfig(
        seed=secrets.token_bytes(32), genesis_id=genesis.id, listen=("/ip4/127.0.0.1/tcp/0",), bootstrap=tuple(peers)
    )
    async with open_watch(config, chain) as watch:
        follower = Follower(watch, file, as_json=as_json)
        try:
            yield follower
        finally:
            follower.save()


def _restored(genesis: Genesis, file: Path, checkpoint: str | None) -> LightChain:
    pin = None if checkpoint is None else read_checkpoint(checkpoint)
    try:
        return restore(genesis, file.read_bytes(), pin)
    except FileNotFoundError:
        return LightChain(genesis, pin)
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {error.strerror}; name another with --state") from error
    except Refused as refusal:
        raise OperatorError(f"{file}: {refusal.detail}; move it away to begin from the genesis") from refusal


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
