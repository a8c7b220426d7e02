"""A network of real node processes on this machine, fed with real ratings: ``python scripts/testnet.py``.

Exit codes: 0 if every node agrees on the finalized chain and state root and nothing submitted was lost; 1 if not;
2 for a mistake that the operator can mend; 130 if Ctrl-C or SIGTERM stopped it before everything submitted was
final (what is final then still agrees).  A second Ctrl-C kills the nodes instead of waiting for their clean end.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chain.base.errors import OperatorError
from scripts.console import print_json, remark
from scripts.testnet_parts.pace import MAX_PER_S, MIN_PER_S
from scripts.testnet_parts.shape import (
    DEFAULT_NODES,
    DEFAULT_SLOT_MS,
    MARKETPLACE,
    MUNICIPAL,
    STORY_SLOT_MS,
    TALE,
    Until,
    Wanted,
)

if TYPE_CHECKING:
    from scripts.replay import Plan
    from scripts.testnet_parts.homes import TestnetHome
    from scripts.testnet_parts.run import Load, Testnet, Watch
    from scripts.testnet_parts.view import View

# A node takes about 100 MB and, in a small slot, some of a core: more than this no machine at hand carries.
MAX_NODES = 31
# One leaves and two others carry what is decided.
MIN_STORY_NODES = 3
MAX_DURATION_S = 31_536_000.0


@command
@click.option(
    "--scenario",
    metavar="NAME|FILE",
    help=f"Replay ratings ({MARKETPLACE}), tell the story of a city's register ({MUNICIPAL}), or that of any other "
    f"policy, by its name or file.  [default: {MARKETPLACE}]",
)
@click.option(
    "--policy",
    metavar="NAME|FILE",
    help="Found it with this policy, and replay --replay into it or, without one, tell its story.",
)
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), help=f"Validators.  [default: {DEFAULT_NODES}]")
@click.option("--observers", type=click.IntRange(0, MAX_NODES), help="Nodes that only follow.  [default: 0]")
@click.option(
    "--slot-ms",
    type=click.IntRange(50, 3_600_000),
    help=f"Length of a slot in milliseconds.  [default: {DEFAULT_SLOT_MS}; {MUNICIPAL}: {STORY_SLOT_MS}]",
)
@click.option("--home", type=click.Path(path_type=Path), help="Folder to keep or to resume.  [default: a fresh one]")
@click.option("--replay", type=click.Path(path_type=Path), help="Who rated whom: csv, packed or not; - for stdin.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N ratings.")
@click.option(
    "--rate",
    type=click.IntRange(MIN_PER_S, MAX_PER_S),
    help="Submit at most so many a second.  [default: what it carries]",
)
@click.option("--until-final", is_flag=True, help="Exit once everything submitted is final everywhere.")
@click.option(
    "--duration",
    type=click.FloatRange(0, MAX_DURATION_S, min_open=True),
    help="Stop after this many seconds; what was submitted may still become final.",
)
@click.option("--restart-dead", is_flag=True, help="Start a node that died again.")
@click.option(
    "--manifest",
    metavar="FILE|FOLDER|random:SEED",
    help="Carry out a manifest instead, or all of a folder (scripts/docs/manifests.md).",
)
@click.option("--play", is_flag=True, help="After the municipal story: key files, and the next commands to copy.")
@click.option("--explorer", is_flag=True, help="Say where the explorer is, open it, and stay up whatever is stopped.")
@click.option(
    "--act", metavar="TEXT", help="Tell the testnet that runs in --home: stop, start, cut or heal, and a node."
)
@as_json
@click.pass_context
def main(
    context: click.Context,
    scenario: str | None,
    policy: str | None,
    nodes: int | None,
    observers: int | None,
    slot_ms: int | None,
    home: Path | None,
    replay: Path | None,
    limit: int | None,
    rate: int | None,
    until_final: bool,
    duration: float | None,
    restart_dead: bool,
    manifest: str | None,
    play: bool,
    explorer: bool,
    act: str | None,
    as_json: bool,
) -> None:
    """Run a testnet of real node processes and replay real ratings into it, or tell it a story.

    Without --replay it takes the sample of the Bitcoin OTC data that comes with the project.  The municipal
    scenario tells how a city's register is used; its first observer becomes a validator.  Any other policy makes a
    short story of its own: accredit, enrol, file, object, answer, rule, repair, rate.  It runs until Ctrl-C unless
    --until-final or --duration is given.
    """
    if act is not None:
        _tell(home, act)
        return
    if manifest is not None:
        founding = (scenario, policy, nodes, observers, slot_ms)
        running = (replay, limit, rate, until_final, duration, restart_dead, explorer, play)
        if any((*founding, *running)):
            raise OperatorError("a manifest says all but where to run it; beside --manifest only --home and --json go")
        with importing():
            from scripts.testnet_parts.repertoire import carry_out
        context.exit(carry_out(manifest, home, as_json=as_json))
    with importing():
        import trio

        from scripts.testnet_parts.homes import open_testnet
        from scripts.testnet_parts.ratings_load import plan_of
        from scripts.testnet_parts.report import build_report, code_of, print_summary
        from scripts.testnet_parts.run import Testnet
        from scripts.testnet_parts.view import open_view
    scenario, policy = _told(scenario, policy, replay)
    wanted = Wanted(nodes, observers, slot_ms, scenario, policy)
    if (nodes or DEFAULT_NODES) + (observers or 0) > MAX_NODES + 1:
        raise OperatorError(f"--nodes and --observers together are at most {MAX_NODES + 1}: a node has 32 connections")
    if play and scenario != MUNICIPAL:
        raise OperatorError("--play goes on with the story: add --scenario municipal")
    if scenario in (MUNICIPAL, TALE):
        if replay or limit or rate:
            raise OperatorError("--replay, --limit and --rate are for ratings; a story has none, leave them out")
        if nodes is not None and nodes < MIN_STORY_NODES:
            raise OperatorError(f"a story needs --nodes {MIN_STORY_NODES} or more")
        plan = None
    else:
        # The file comes first: a mistake in it leaves no folder behind.
        plan = plan_of(replay, limit, policy, home)
    opened = open_testnet(home, wanted)
    with open_view(plain=as_json) as view:
        load = _load(opened, plan, rate or MAX_PER_S, view, is_played=play)
        testnet = Testnet(opened, load, restart_dead=restart_dead, note=view.note, is_shown=explorer or play)
        view.note(f"{'resuming the' if opened.is_resumed else 'a new'} testnet in {opened.path}")
        watch = partial(_show, view) if explorer else view.watch
        trio.run(_live, testnet, Until(until_final, duration), watch)
        view.note("reading what the nodes have stored")
    report = build_report(testnet)
    if as_json:
        print_json(report)
    else:
        print_summary(report, testnet)
    context.exit(code_of(report, testnet))


def _told(scenario: str | None, policy: str | None, replay: Path | None) -> tuple[str | None, str | None]:
    """The kind of scenario, and the policy to found the network with; None leaves it to the home, or the default."""
    if scenario in (None, MARKETPLACE, MUNICIPAL):
        if scenario is not None and policy is not None:
            raise OperatorError(f"--scenario {scenario} has its own policy; leave out --policy, or --scenario")
        return (TALE if policy is not None and replay is None else scenario), policy
    if policy is not None:
        raise OperatorError("--scenario and --policy each name a policy; give one of them")
    return TALE, scenario


def _load(opened: TestnetHome, plan: Plan | None, max_per_s: int, view: View, *, is_played: bool) -> Load:
    with importing():
        from scripts.testnet_parts.ratings_load import Replay
        from scripts.testnet_parts.rehearsal import Rehearsal
    if opened.shape.is_story or plan is None:
        return Rehearsal(opened, view.note, is_played=is_played)
    return Replay(opened, plan, max_per_s)


async def _live(testnet: Testnet, until: Until, watch: Watch) -> None:
    await testnet.prepare()
    await testnet.run(until, watch)


async def _show(view: View, testnet: Testnet) -> None:
    """Say where the explorer is, once the first node answers, and open it where somebody sits at a terminal."""
    with importing():
        from scripts.testnet_parts.showing import show
    await show(view, testnet)


def _tell(home: Path | None, act: str) -> None:
    with importing():
        from scripts.testnet_parts.acts import answered, leave, read_act
        from scripts.testnet_parts.homes import shape_of
    if home is None:
        raise OperatorError("--act needs --home, the folder in which the testnet runs")
    remark(answered(leave(home, read_act(act, shape_of(home).names))))


if __name__ == "__main__":
    main()
