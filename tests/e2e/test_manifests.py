"""A short manifest with real processes: what it asserts does not depend on how fast this machine is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from scripts.manifest_parts.things import (
    Agree,
    Attack,
    Clock,
    Continue,
    Cut,
    Heal,
    Kill,
    Line,
    Load,
    LoseDisk,
    Manifest,
    Memory,
    Observer,
    Seats,
    Start,
    Stays,
    Stop,
    Strangers,
    Validator,
)
from scripts.manifest_parts.writing import to_toml
from tests.support.running import DEADLINE_S, ROOT

MANIFEST = Manifest(
    title="a bit of everything",
    slots=16,
    slot_ms=500,
    line=Line(latency_ms=20, jitter_ms=5, loss=5),
    validators=(Validator(name="ann"), Validator(name="bob"), Validator(name="cem", clock_ms=300)),
    observers=(Observer(name="eve", late=True),),
    strangers=(Strangers(name="they", kind="silent-grafts", targets=("ann",)),),
    events=(
        Load(at=0, per_slot=5),
        Start(at=0, nodes=("eve",)),
        Cut(at=1, name="island", nodes=("cem",), noticed=True),
        Attack(at=2, strangers=("they",), slots=6),
        Heal(at=4, name="island"),
        Stop(at=5, nodes=("bob",)),
        Clock(at=6, nodes=("cem",), ahead_ms=-300),
        Continue(at=8, nodes=("bob",)),
        Kill(at=9, nodes=("cem",)),
        LoseDisk(at=10, nodes=("cem",)),
    ),
    asserts=(Agree(), Stays(), Memory(mb=2_000), Seats(at=15, nodes=("ann", "bob", "cem"))),
)


def test_what_a_manifest_says_is_done_to_processes(tmp_path: Path) -> None:
    # given a manifest with a cut, a stop, a wrong clock, a lost disk, strangers, and one wrong assertion
    path = tmp_path / "a.toml"
    path.write_text(to_toml(MANIFEST), encoding="utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "testnet.py"), "--manifest", str(path)]
    ended = subprocess.run(
        [*command, "--home", str(tmp_path / "home"), "--json"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    # then all of it happens, and what holds holds; a dead validator does not say that it is one
    report = json.loads(ended.stdout)
    holds = {row["that"]: row["holds"] for row in report["asserts"]}
    assert holds == {"agree": True, "final-stays": True, "memory": True, "seats": False}
    assert ended.returncode == 1
    assert report["fault"] == ""
    for event in MANIFEST.events:
        assert f"slot {event.at}: {event.word}" in ended.stderr
