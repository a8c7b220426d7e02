"""What the log says of damage that is found while a node runs."""

from __future__ import annotations

from p2p.local.commandline import launched

import shlex
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import structlog
import trio

from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.scrub import Damage, Portion
from p2p.local.scrubbing import scrub
from tests.unit.p2p.net import until


async def test_damage_is_told_with_a_command_that_mends_this_home(tmp_path: Path) -> None:
    portions = [Portion("state", 3, (Damage("state", "7", "its checksum is wrong"),)), Portion("page", 2, ())]
    reader = SimpleNamespace(path=tmp_path / DATABASE, scrub=lambda: iter(portions), close=lambda: None)
    with structlog.testing.capture_logs() as said:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(scrub, cast(Reader, reader), pause_s=0))
            await until(lambda: said[-1:] and said[-1]["event"] == "scrubbed")
            nursery.cancel_scope.cancel()
    told = {line.pop("event"): line for line in said}
    assert (told["damaged"]["row"], told["damaged"]["what"]) == ("7", "its checksum is wrong")
    assert launched(f"`python node.py init --resync --home {shlex.quote(str(tmp_path))}`") in told["damaged"]["remedy"]
    assert (told["scrubbed"]["rows"], told["scrubbed"]["damaged"]) == (5, 1)
