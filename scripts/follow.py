"""Follow a network by its headers alone, from several peers, none of which is trusted; nothing but the genesis is.

python scripts/follow.py --genesis genesis.json --peer /ip4/…/tcp/4001/p2p/12D3…       what becomes final, as it does
python scripts/follow.py --genesis genesis.json --peer … member DID                    where somebody stands, proven

It executes nothing and keeps one small file, from which it goes on the next time.  It ends with 1, and names who signed
both, where two chains are final that contradict each other.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, group, importing

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from scripts.follow_parts.following import Follower


@dataclass(frozen=True)
class Asked:
    """What the options say."""

    genesis: Path
    peers: tuple[str, ...]
    checkpoint: str | None
    state: Path
    as_json: bool


@group
@click.option("--genesis", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The genesis file.")
@click.option("--peer", "peers", metavar="MULTIADDR", multiple=True, required=True, help="A peer to begin with.")
@click.option("--checkpoint", metavar="HEIGHT:ID", help="A block that you know to be right, from somebody you trust.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to keep what is verified.  [default: beside the genesis file]",
)
@as_json
@click.pass_context
def follow(
    context: click.Context,
    genesis: Path,
    peers: tuple[str, ...],
    checkpoint: str | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Follow a network by its headers, without trusting a node; by default say what becomes final."""
    context.obj = Asked(genesis, peers, checkpoint, state or genesis.with_suffix(".followed"), as_json)
    if context.invoked_subcommand is None:
        context.invoke(live)


follow.invoke_without_command, follow.no_args_is_help = True, False


@follow.command()
@click.pass_obj
def live(asked: Asked) -> None:
    """Say what becomes final, until Ctrl-C."""
    _run(asked, lambda follower: follower.live())


@follow.command()
@click.argument("did")
@click.pass_obj
def member(asked: Asked, did: str) -> None:
    """Where a member stands, by a proof that is checked here.  It is checked against a block that is final."""
    _run(asked, lambda follower: follower.member(did))


def _run(asked: Asked, what: Callable[[Follower], Awaitable[int]]) -> None:
    with importing():
        import trio

        from scripts.follow_parts.following import following

    async def run() -> int:
        async with following(asked.genesis, asked.peers, asked.checkpoint, asked.state, as_json=asked.as_json) as one:
            return await what(one)

    if code := trio.run(run):
        click.get_current_context().exit(code)


if __name__ == "__main__":
    follow()
