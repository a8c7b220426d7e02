"""What an operator does with a real node: an encrypted key, a look at how it is, a changed limit."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support.running import DEADLINE_S, run_to_end, running, wait_for
from tests.support.world import genesis_of, secret

LOCAL = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")


def doctor(home: Path, *options: str) -> tuple[int, dict[str, Any]]:
    ended = run_to_end("doctor", "--home", str(home), "--json", *options)
    assert ended.stderr == ""
    return ended.returncode, json.loads(ended.stdout)


def wrong(document: dict[str, Any]) -> list[str]:
    return [row["check"] for row in document["findings"] if not row["fine"]]


def test_a_node_with_an_encrypted_key_is_looked_at_while_it_runs_and_after(tmp_path: Path) -> None:
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=200)
    word = tmp_path / "word"
    word.write_text("a word\n", encoding="utf-8")
    word.chmod(0o600)
    create_home(tmp_path / "one", genesis, secret(1).seed, LOCAL, word=b"a word")
    passphrase = ("--passphrase-file", str(word))
    with running(tmp_path / "one", *passphrase) as one:
        address = json.loads((one.home / "node.json").read_text("utf-8"))["addresses"][0]
        create_home(tmp_path / "two", genesis, secret(2).seed, replace(LOCAL, peers=[address]))
        with running(tmp_path / "two") as two:
            wait_for(lambda: two.status()["peers"], "they are connected")
            wait_for(lambda: doctor(two.home)[0] == 0, "its peer knows where to dial it")
            code, document = doctor(one.home, *passphrase, "--offline")
            assert (code, document["fine"], wrong(document)) == (0, True, [])
            one.process.send_signal(signal.SIGTERM)
            assert one.process.wait(DEADLINE_S) == 0
            code, document = doctor(two.home)
            assert code == 1
            assert set(wrong(document)) == {"peers"}
    assert doctor(tmp_path / "one")[0] == 0
