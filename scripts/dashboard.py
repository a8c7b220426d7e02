"""The Grafana dashboard of a node: ``scripts/docs/grafana.json``, to be imported with a Prometheus as its source.

python scripts/dashboard.py              print it
python scripts/dashboard.py --write      write it
"""

from __future__ import annotations

from p2p.local.commandline import command

import json
from pathlib import Path
from typing import Any, NamedTuple

import click

from scripts.console import remark, write

PAGE = Path(__file__).parent / "docs" / "grafana.json"
COLUMNS, WIDTH, HEIGHT = 3, 8, 7
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_RATE = "[$__rate_interval]"


class Panel(NamedTuple):
    """One picture: its queries by what their lines are called, with Grafana's name of the unit."""

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""


def _of(name: str) -> str:
    return f'{name}{{instance=~"$instance"}}'


def _rate(name: str) -> str:
    return f"rate({_of(name)}{_RATE})"


def _quantile(share: float, name: str) -> str:
    return f"histogram_quantile({share}, sum by (le, instance) ({_rate(name)}))"


ROWS: dict[str, list[Panel]] = {
    "Chain": [
        Panel(
            "Height",
            "short",
            {"head": _of("goodfaith_consensus_height"), "final": _of("goodfaith_finalized_height")},
        ),
        Panel(
            "Blocks not final",
            "short",
            {"lag": _of("goodfaith_finality_lag_blocks"), "stalled": _of("goodfaith_stalled")},
            "Two or three while something happens; more means that votes are missing.",
        ),
        Panel(
            "Slots behind the clock",
            "short",
            {"behind": f"{_of('goodfaith_slot')} - {_of('goodfaith_head_slot')}"},
            "Grows between heartbeats while nothing happens.",
        ),
        Panel("Transactions", "ops", {"adopted": _rate("goodfaith_transactions_total")}),
        Panel("Mempool", "short", {"waiting": _of("goodfaith_mempool_size")}),
        Panel(
            "A block here, after its slot's start",
            "s",
            {
                "half": _quantile(0.5, "goodfaith_block_delay_seconds_bucket"),
                "95 %": _quantile(0.95, "goodfaith_block_delay_seconds_bucket"),
            },
        ),
    ],
    "Validators": [
        Panel(
            "Slots missed",
            "ops",
            {"{{validator_address}}": _rate("goodfaith_slots_missed_total")},
            "By leader, while something was on its way.",
        ),
        Panel(
            "Final blocks without its word",
            "ops",
            {"{{validator_address}}": _rate("goodfaith_consensus_validator_missed_blocks")},
        ),
        Panel(
            "Validators",
            "short",
            {
                "all": _of("goodfaith_consensus_validators"),
                "missing": _of("goodfaith_consensus_missing_validators"),
                "jailed": _of("goodfaith_consensus_byzantine_validators"),
            },
        ),
        Panel(
            "Weight",
            "short",
            {
                "{{validator_address}}": _of("goodfaith_consensus_validator_power"),
                "all": _of("goodfaith_consensus_validators_power"),
            },
        ),
        Panel(
            "This validator spoke",
            "short",
            {
                "height": _of("goodfaith_consensus_validator_last_signed_height"),
                "head": _of("goodfaith_consensus_height"),
            },
        ),
        Panel(
            "Silence",
            "short",
            {"{{why}}": _of("goodfaith_silent"), "signs again": _of("goodfaith_signs_again_seconds")},
        ),
    ],
    "Network": [
        Panel(
            "Peers",
            "short",
            {"{{direction}}": _of("goodfaith_p2p_peers"), "kept out": _of("goodfaith_p2p_banned_peers")},
        ),
        Panel("Mesh", "short", {"{{topic}}": _of("goodfaith_gossip_mesh_peers")}),
        Panel(
            "Traffic",
            "Bps",
            {
                "sent": _rate("goodfaith_p2p_message_send_bytes_total"),
                "received": _rate("goodfaith_p2p_message_receive_bytes_total"),
            },
        ),
        Panel(
            "Sync",
            "short",
            {
                "fetching": _of("goodfaith_blocksync_syncing"),
                "behind what others have": f"{_of('goodfaith_blocksync_best_peer_height')} - "
                + _of("goodfaith_consensus_height"),
            },
        ),
        Panel("Refused of peers", "ops", {"{{reason}}": _rate("goodfaith_p2p_refusals_total")}),
        Panel("Peers penalised", "ops", {"{{reason}}": _rate("goodfaith_penalties_total")}),
        Panel("Submissions refused", "ops", {"{{reason}}": _rate("goodfaith_mempool_failed_txs_total")}),
    ],
    "Machine": [
        Panel("Memory", "bytes", {"resident": _of("process_resident_memory_bytes")}),
        Panel("CPU", "percentunit", {"cores": _rate("process_cpu_seconds_total")}),
        Panel(
            "Disk",
            "bytes",
            {"database": _of("goodfaith_database_bytes"), "free": _of("goodfaith_disk_free_bytes")},
        ),
        Panel(
            "Blocks kept",
            "short",
            {"from height": _of("goodfaith_oldest_body_height"), "damaged": _of("goodfaith_damaged_blocks")},
            "What blocks say is kept from this height on; damaged ones are asked of peers again.",
        ),
        Panel("Open files", "short", {"open": _of("process_open_fds"), "most": _of("process_max_fds")}),
        Panel("Commits", "s", {"95 %": _quantile(0.95, "goodfaith_commit_seconds_bucket")}),
        Panel(
            "Odd",
            "ops",
            {
                "reorgs": _rate("goodfaith_reorgs_total"),
                "faults": _rate("goodfaith_faults_total"),
                "contradictions": _rate("goodfaith_equivocations_total"),
                "log lines lost: {{why}}": _rate("goodfaith_log_lines_lost_total"),
            },
        ),
    ],
}


def dashboard() -> str:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": COLUMNS * WIDTH, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        panels.extend(_drawn(panel, number, top + 1) for number, panel in enumerate(row))
        top += 1 + -(-len(row) // COLUMNS) * HEIGHT
    document = {
        "title": "Goodfaith node",
        "uid": "goodfaith-node",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_variable("datasource", "datasource", "prometheus"), _instances()]},
        "panels": [panel | {"id": number} for number, panel in enumerate(panels, 1)],
    }
    return json.dumps(document, indent=1) + "\n"


def _drawn(panel: Panel, number: int, top: int) -> dict[str, Any]:
    down, right = divmod(number, COLUMNS)
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {"x": right * WIDTH, "y": top + down * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + count), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for count, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _variable(name: str, kind: str, query: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "query": query}


def _instances() -> dict[str, Any]:
    variable = _variable("instance", "query", "label_values(goodfaith_consensus_height, instance)")
    return variable | {"datasource": _SOURCE, "refresh": 2, "multi": True, "includeAll": True}


@command
@write("scripts/docs/grafana.json")
def main(write: bool) -> None:
    """Print the Grafana dashboard of a node."""
    if write:
        PAGE.write_text(dashboard(), encoding="utf-8")
        remark(f"wrote {PAGE}")
    else:
        click.echo(dashboard(), nl=False)


if __name__ == "__main__":
    main()
