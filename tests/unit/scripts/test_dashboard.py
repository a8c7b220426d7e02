"""Dashboard and alerts ask a node only for what it really serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import trio
from prometheus_client import generate_latest

from node import open_node
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, load_home
from scripts.dashboard import PAGE, ROWS, dashboard
from tests.support.world import genesis_of, secret

DOCS = PAGE.parent
# What Prometheus itself knows of a target.
OF_PROMETHEUS = {"up"}
_WORDS = {"by", "le", "instance", "why", "reason", "or", "sum", "max", "rate", "increase", "histogram_quantile", "on"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all series of a running validator, also of those without a value yet."""
    path = tmp_path_factory.mktemp("served") / "node"
    local = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")
    create_home(path, genesis_of(1), secret(1).seed, local)

    async def scrape() -> str:
        async with open_node(load_home(path)) as node:
            return generate_latest(node.telemetry.registry).decode()

    text = trio.run(scrape)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    buckets = {f"{name}_bucket" for name, kind in kinds.items() if kind == "histogram"}
    return set(kinds) | buckets


def names(query: str) -> set[str]:
    """The series that a query asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", " ", query)
    return set(re.findall(r"(?<![\w.])[a-z_]\w+", bare)) - _WORDS


def queries() -> Iterator[str]:
    for panel in json.loads(PAGE.read_text("utf-8"))["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def alerts() -> dict[str, str]:
    text = (DOCS / "alerts.yml").read_text("utf-8")
    return dict(re.findall(r"- alert: (\w+)\n +expr: (.+)\n", text))


def test_the_dashboard_is_the_one_that_is_written() -> None:
    assert PAGE.read_text("utf-8") == dashboard()


def test_no_panel_asks_for_what_a_node_does_not_serve(served: set[str]) -> None:
    asked = {name for query in queries() for name in names(query)}
    assert len(asked) >= 30
    assert asked - served == set()


def test_what_a_node_serves_of_its_own_is_shown(served: set[str]) -> None:
    shown = {name.removesuffix("_bucket") for query in queries() for name in names(query)}
    ours = {name.removesuffix("_bucket") for name in served if name.startswith("goodfaith_")}
    assert {name for name in ours - shown if not name.endswith("_created")} == {"goodfaith_build_info"}


def test_a_query_is_understood() -> None:
    assert names('rate(a_total{instance=~"$instance"}[5m]) - sum by (le, instance) (bbb) > 3e9 or ccc') == {
        "a_total",
        "bbb",
        "ccc",
    }


def test_no_alert_asks_for_what_a_node_does_not_serve(served: set[str]) -> None:
    assert len(alerts()) >= 10
    assert {name for query in alerts().values() for name in names(query)} - served == OF_PROMETHEUS


def test_the_page_names_every_metric(served: set[str]) -> None:
    named = set(re.findall(r"`(goodfaith_\w+)`", (DOCS / "operating.md").read_text("utf-8")))
    ours = {name for name in served if name.startswith("goodfaith_")}
    assert named == {name for name in ours if not name.endswith(("_bucket", "_created"))}


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in json.loads(PAGE.read_text("utf-8"))["panels"]]
    cells = [
        (place["x"] + right, place["y"] + down)
        for place in places
        for right in range(place["w"])
        for down in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len(places) == len(ROWS) + sum(map(len, ROWS.values()))


def test_every_panel_has_its_number() -> None:
    numbers = [panel["id"] for panel in json.loads(PAGE.read_text("utf-8"))["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
