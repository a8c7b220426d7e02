"""How many headers a second a follower checks, from nodes on this machine."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE

import psutil
import trio

from chain.base.errors import InvariantBroken, OperatorError
from chain.branches.blockchain import Blockchain
from chain.consensus.statements import NO_TAG
from chain.content.blocks import encode_block
from chain.content.genesis import Genesis
from chain.protocol.events import SigningState
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.production import Producer
from scripts.bench_parts.chainwork import validator_secrets, verify_rate
from scripts.bench_parts.figures import Figure
from scripts.console import progress
from scripts.growth_parts.joins import PEERS, founded, serving, write_chain

HEADERS = 10_000
# What is final lies a few blocks behind the head.
BEHIND = 16
PATIENCE_S = 300.0
FOLLOW = Path(__file__).parents[1] / "follow.py"


def header_figures(folder: Path) -> list[Figure]:
    """``follow.py`` over a long chain of empty blocks.  Raises :class:`OperatorError`."""
    homes = [folder / f"header-{number}" for number in range(PEERS)]
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)
    genesis = founded(HEADERS)
    write_chain(homes, genesis, empty_chain(genesis, HEADERS))
    before = verify_rate(clock=time.process_time)
    headers, cpu_s, wall_s = trio.run(_followed, homes)
    limit = (before + verify_rate(clock=time.process_time)) / 2
    for home in homes:
        shutil.rmtree(home)
    how = f"{headers:,} headers of four validators by follow.py, from {PEERS} nodes beside it; {wall_s:.1f} s wall"
    return [
        Figure("headers, a CPU second", round(headers / cpu_s), "/s", "≥ 5000", how),
        Figure("– of one core's verify rate", round(headers / cpu_s / limit, 2), "×", "", f"{limit:,.0f}/s"),
    ]


def empty_chain(genesis: Genesis, blocks: int) -> list[bytes]:
    """Encoded blocks that hold attestations and nothing else."""
    chain, raws = Blockchain(genesis), []
    producers = [Producer(genesis, secret, SigningState(), NO_TAG) for secret in validator_secrets()]
    with progress("headers", blocks) as advance:
        for slot in range(1, blocks + 1):
            heard = Heard()
            for attestation in filter(None, (producer.attest(chain) for producer in producers)):
                heard.add(attestation)
            made = producers[slot % len(producers)].make(chain, Mempool(chain.ledger.next_nonce), heard, slot)
            if made is None:
                raise InvariantBroken("an honest producer contradicts itself")
            chain.adopt(made.block, made.changes, made.votes)
            chain.settle()
            raws.append(encode_block(made.block))
            advance(1)
    return raws


async def _followed(homes: Sequence[Path]) -> tuple[int, float, float]:
    """Headers that became final between a follower's first word and its last, and what they took: CPU and wall."""
    async with serving(homes) as (_, addresses):
        peers = [word for address in addresses for word in ("--peer", address)]
        genesis, state = homes[0] / "genesis.json", homes[0] / "followed"
        command = [sys.executable, str(FOLLOW), "--genesis", str(genesis), "--state", str(state), *peers, "--json"]
        process = await trio.lowlevel.open_process(command, stdout=PIPE)
        try:
            with trio.move_on_after(PATIENCE_S):
                return await _between(process)
            raise OperatorError("follow.py did not come to the end of the chain; try it by hand")
        finally:
            process.kill()
            await process.wait()


async def _between(process: trio.Process) -> tuple[int, float, float]:
    watched, told, first = psutil.Process(process.pid), b"", None
    assert process.stdout is not None
    async for data in process.stdout:
        *lines, told = (told + data).split(b"\n")
        if not lines:
            continue
        height, spent = json.loads(lines[-1])["height"], watched.cpu_times()
        now = height, spent.user + spent.system, time.monotonic()
        first = first or now
        if height >= HEADERS - BEHIND and height > first[0]:
            return height - first[0], now[1] - first[1], now[2] - first[2]
    raise OperatorError("follow.py ended by itself; try it by hand")
