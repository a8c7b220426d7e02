"""What a testnet says above its table, on a terminal."""

from __future__ import annotations

from p2p.local.commandline import launched

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console
from rich.live import Live

from scripts.testnet_parts.view import LiveView, frame

if TYPE_CHECKING:
    from scripts.testnet_parts.run import Testnet

COLUMNS = 40
PATH = "/tmp/a-folder/whose/name/is/longer/than/a/line/of/this/terminal"


def said(text: str) -> list[str]:
    out = io.StringIO()
    LiveView(Live(console=Console(file=out, width=COLUMNS, force_terminal=True, no_color=True))).note(text)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()


def test_a_sentence_goes_on_under_its_beginning() -> None:
    first, *more = said("objection of member 20 to record 0: the agency maintains it, with a written reason")
    assert re.fullmatch(r"\d\d:\d\d:\d\d objection of member 20 to", first)
    assert more == [" " * 9 + "record 0: the agency maintains", " " * 9 + "it, with a written reason"]


@pytest.mark.parametrize("text", [f"a new testnet in {PATH}", PATH])
def test_a_path_stays_whole(text: str) -> None:
    assert any(line.endswith(PATH) for line in said(text))


def test_a_command_is_a_line_that_can_be_copied() -> None:
    command = f"python scripts/inspect_chain.py verify --home {PATH}"
    assert said(command) == [launched(command)]


@pytest.mark.parametrize("words", range(1, 40))
def test_the_last_line_has_room_for_what_ctrl_c_leaves_behind(words: int) -> None:
    lines = framed("word " * words, None)
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines[-1] + "^C") <= COLUMNS


def test_while_no_validator_signs_it_says_why() -> None:
    why = "its clock is 48 min past its head"
    assert "the validators wait; node0 says: its clock" in " ".join(framed("all is final", why, why))
    assert "all is final" in " ".join(framed("all is final", why, None))


def test_ctrl_c_is_said_to_leave_what_somebody_started_by_hand() -> None:
    assert " ".join(framed("final", None)).rstrip().endswith("Ctrl-C stops all nodes")
    assert "stops all nodes but node1, started by hand" in " ".join(framed("final", None, None))


def framed(hint: str, *silent_why: str | None) -> list[str]:
    load = SimpleNamespace(bars=lambda _testnet: [], hint=lambda _testnet: hint)
    live = [
        SimpleNamespace(name=f"node{at}", is_validator=True, is_anothers=at == 1, told={"silent_why": why})
        for at, why in enumerate(silent_why)
    ]
    testnet = SimpleNamespace(nodes=[], live=live, load=load, home=SimpleNamespace(path=Path("/tmp/net")))
    out = io.StringIO()
    Console(file=out, width=COLUMNS).print(frame(cast("Testnet", testnet), COLUMNS))
    return out.getvalue().splitlines()
