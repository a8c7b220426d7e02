"""What a testnet reports when it has stopped."""

from __future__ import annotations

from p2p.local.commandline import launched, pasted

import time
from pathlib import Path
from typing import Any

import click

from scripts.console import table
from scripts.testnet_parts.confirm import final_chains, state_root_at
from scripts.testnet_parts.run import Testnet
from scripts.testnet_parts.verdict import agreement, describe_propagation, exit_code, propagation_ms


def build_report(testnet: Testnet) -> dict[str, Any]:
    """The object that ``--json`` prints, from the databases of the stopped nodes and what they said before."""
    home, load, nodes = testnet.home, testnet.load, testnet.nodes
    chains = final_chains([node.home for node in nodes], home.genesis)
    verdict = agreement(chains)
    roots = {state_root_at(node.home, home.genesis, verdict.height) for node in nodes}
    root = next(iter(roots)) if len(roots) == 1 else None
    heads = {node.name: node.moves for node in nodes}
    ready = {node.name: node.ready_ms for node in nodes}
    fresh = load.fresh
    seconds = testnet.seconds
    cpu_s = sum(node.cpu_s for node in nodes)
    told = load.report(testnet)
    return {
        "nodes": home.shape.nodes,
        "observers": home.shape.observers,
        "slot_ms": home.shape.slot_ms,
        "height": max((node.last["height"] for node in nodes if node.last), default=0),
        "finalized_height": verdict.height,
        "agree": verdict.holds and len(roots) == 1 and told.get("audited", True),
        "differing": list(verdict.differing),
        "state_root": None if root is None else root.hex(),
        **told,
        "seconds": round(seconds, 3),
        "tx_per_s": round(fresh / seconds, 1) if seconds else 0.0,
        "block_propagation_ms": describe_propagation(propagation_ms(heads, ready)),
        "reorgs": sum(node.last["reorgs"] for node in nodes if node.last),
        "interrupted": testnet.interrupted,
        "cpu_s": round(cpu_s, 3),
        "cpu_ms_per_tx": round(1000 * cpu_s / fresh, 3) if fresh else None,
        "loader_cpu_s": round(time.process_time(), 3),
        "home": str(home.path),
        "nodes_detail": [
            {
                "node": node.name,
                "role": "validator" if node.is_validator else "observer",
                "did": node.last and node.last["did"],
                "ended": node.ended,
                "deaths": node.deaths,
                "height": node.last and node.last["height"],
                "finalized_height": len(chain.ids),
                "reorgs": node.last and node.last["reorgs"],
                "cpu_s": round(node.cpu_s, 3),
                "rss_bytes": node.last and node.last["rss_bytes"],
            }
            for node, chain in zip(nodes, chains, strict=True)
        ],
    }


def code_of(report: dict[str, Any], testnet: Testnet) -> int:
    """The exit code that the report calls for."""
    return exit_code(
        agree=report["agree"],
        lost=report["lost"],
        refused=sum(report["refused"].values()),
        gave_up=testnet.gave_up,
        interrupted=report["interrupted"],
        done=testnet.finished_s is not None,
    )


def print_summary(report: dict[str, Any], testnet: Testnet) -> None:
    """The same for people, with what to try next."""
    agree = f"NODES DISAGREE: {', '.join(report['differing'])}" if report["differing"] else "every node agrees"
    rows: list[tuple[str, object]] = [
        ("agreement", agree),
        ("heights", f"{report['height']:,}, final up to {report['finalized_height']:,} on every node"),
        ("state root", report["state_root"]),
        ("transactions", transactions(report)),
        *testnet.load.rows(report),
        ("blocks", _spread(report["block_propagation_ms"])),
        ("reorgs", report["reorgs"]),
        ("home", report["home"]),
    ]
    rows += [(detail["node"], detail["ended"]) for detail in report["nodes_detail"] if detail["ended"]]
    table("", ("", ""), rows)
    home = Path(report["home"])
    click.echo("\nLook inside:\n")
    for question in testnet.load.questions:
        click.echo(launched(f"    python scripts/inspect_chain.py {question} --home {pasted(home / 'node0')}"))
    if testnet.load.can_go_on:
        click.echo("\nGo on with this network:\n")
        click.echo(launched(f"    python scripts/testnet.py --home {pasted(home)}"))


def _spread(spread: dict[str, Any]) -> str | None:
    if not spread["samples"]:
        return None
    return f"p50 {spread['p50']} ms, p95 {spread['p95']} ms from their maker to another node"


def transactions(report: dict[str, Any]) -> str:
    """How many came through, in a line.  By hand, beside the testnet, more may be sent than it submitted."""
    text = f"{min(report['final'], report['submitted']):,} final of {report['submitted']:,} submitted"
    if (by_hand := report["final"] - report["submitted"]) > 0:
        text += f", and {by_hand:,} sent by others"
    if report["refused"]:
        text += ", refused: " + ", ".join(f"{count:,} {reason}" for reason, count in sorted(report["refused"].items()))
    if report["lost"]:
        text += f", {report['lost']:,} not final when it stopped"
    return text
