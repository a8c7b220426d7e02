"""A node as a process among others: signals, standard streams, a log that nobody reads, a disk it may not write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support.running import DEADLINE_S, ROOT, node_command, run_to_end, running, wait_for
from tests.support.world import genesis_of, secret

LOCAL = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")


@pytest.fixture
def solo(tmp_path: Path) -> Path:
    """The home of the only validator of a network with quick slots."""
    home = tmp_path / "node"
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=100)
    create_home(home, genesis, secret(1).seed, LOCAL)
    return home


def left_behind(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()} & {"node.json", "chain.db-wal", "chain.db-shm"}


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_signal_is_a_clean_stop(solo: Path, name: str) -> None:
    with running(solo, start_new_session=True) as node:
        node.process.send_signal(signal.Signals[name])
        assert node.process.wait(DEADLINE_S) == 0
    assert left_behind(solo) == set()
    assert "Traceback" not in node.log()


def test_nohup_means_that_a_hang_up_is_nothing(solo: Path) -> None:
    def ignoring() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with running(solo, preexec_fn=ignoring) as node:
        node.process.send_signal(signal.SIGHUP)
        assert node.status()["height"] >= 0
        node.process.terminate()
        assert node.process.wait(DEADLINE_S) == 0
    assert "SIGHUP" not in node.log()


def test_a_changed_configuration_is_read_again(solo: Path) -> None:
    with running(solo) as node:
        (solo / "config.toml").write_text(replace(LOCAL, log_level="debug", max_peers=3).to_toml(), encoding="utf-8")
        node.process.send_signal(signal.SIGUSR1)
        node.wait_said("configuration_read")
        node.process.terminate()
        assert node.process.wait(DEADLINE_S) == 0
    assert "changed=log_level max_peers" in node.log().replace("'", "")


def test_several_signals_are_one(solo: Path) -> None:
    with running(solo) as node:
        for _ in range(5):
            node.process.terminate()
        assert node.process.wait(DEADLINE_S) == 0
    assert left_behind(solo) == set()


# -------------------------------------------------------------------------------------------- while it starts


@contextmanager
def traced(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A program that tells each module that it is about to import, on stderr."""
    log = tmp_path / "imports"
    with (
        log.open("w") as out,
        subprocess.Popen(
            node_command(*arguments), stderr=out, stdout=out, text=True, env={**os.environ, "PYTHONVERBOSE": "1"}
        ) as process,
    ):
        try:
            yield process, log
        finally:
            process.kill()


def interrupted_at(module: str, home: Path, tmp_path: Path) -> int:
    """The exit code of a node that gets Ctrl-C once ``module`` is imported."""
    with traced(tmp_path, "run", "--home", str(home)) as (process, log):
        wait_for(lambda: f"import '{module}" in log.read_text() or process.poll() is not None, module, every_s=0.001)
        process.send_signal(signal.SIGINT)
        code = process.wait(DEADLINE_S)
    assert "Traceback" not in log.read_text()
    assert "KeyboardInterrupt" not in log.read_text()
    return code


@pytest.mark.parametrize("module", ["structlog", "trio", "chain.protocol.engine", "p2p.local.home"])
def test_ctrl_c_is_quiet_while_modules_are_imported(solo: Path, tmp_path: Path, module: str) -> None:
    (solo / "config.toml").unlink()
    os.mkfifo(solo / "config.toml")  # here it waits, on however fast a machine
    assert interrupted_at(module, solo, tmp_path) == 130


def test_ctrl_c_is_quiet_while_the_network_is_imported(solo: Path, tmp_path: Path) -> None:
    assert interrupted_at("libp2p", solo, tmp_path) in {130, 0}  # where this machine is slow, it was ready


# ----------------------------------------------------------------------------------------------- standard streams


def test_all_standard_streams_may_be_closed(solo: Path) -> None:
    def daemonised() -> None:
        os.closerange(0, 3)

    with running(solo, preexec_fn=daemonised) as node:
        wait_for(lambda: node.status()["height"] >= 0, "it answers")
        node.process.terminate()
        assert node.process.wait(DEADLINE_S) == 0
    assert left_behind(solo) == set()
    looked = subprocess.run(
        [*node_command()[:1], str(ROOT / "scripts" / "inspect_chain.py"), "verify", "--home", str(solo)], check=False
    )
    assert looked.returncode == 0


@pytest.mark.parametrize("redirect", ["<&-", "</dev/null"])
def test_it_ends_with_its_input_whatever_that_is(solo: Path, redirect: str) -> None:
    command = " ".join(node_command("run", "--stop-with-parent", "--home", str(solo)))
    ended = subprocess.run(
        f"exec {command} {redirect}", shell=True, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [["-h"], ["key", "show"]])
def test_output_to_a_full_disk_is_one_sentence(solo: Path, arguments: list[str]) -> None:
    home = [] if arguments == ["-h"] else ["--home", str(solo)]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            node_command(*arguments, *home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "output cannot be written" in ended.stderr


# ------------------------------------------------------------------------------------------------------- the log


@contextmanager
def logging_to(home: Path, stderr: int | IO[str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A ready node whose log goes to ``stderr``, and the URL of its HTTP face."""
    with subprocess.Popen(node_command("run", "--home", str(home)), stderr=stderr) as process:
        try:
            wait_for((home / "node.json").exists, "it is ready")
            yield process, json.loads((home / "node.json").read_text("utf-8"))["http"]
        finally:
            process.kill()


def fill(pipe: int) -> None:
    """What a node writes in an hour or two."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4_096)
    os.set_blocking(pipe, True)


def test_a_log_that_nobody_reads_stops_neither_the_node_nor_its_end(solo: Path) -> None:
    reader, writer = os.pipe()
    fill(writer)
    with logging_to(solo, writer) as (process, url):
        first = len(heads(url))
        wait_for(lambda: len(heads(url)) > first, "it goes on")
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    os.close(writer)
    os.close(reader)
    assert left_behind(solo) == set()


def test_a_node_that_cannot_log_at_all_goes_on_and_counts(solo: Path) -> None:
    with open("/dev/full", "w") as full, logging_to(solo, full) as (process, url):
        wait_for(lambda: lost_lines(url) > 0, "lines are lost, and counted")
        process.terminate()
        assert process.wait(DEADLINE_S) == 0


def ask(url: str) -> httpx.Response:
    return httpx.get(url, timeout=DEADLINE_S, trust_env=False)


def heads(url: str) -> list[dict[str, Any]]:
    moves: list[dict[str, Any]] = ask(url + "/heads").json()["heads"]
    return moves


def lost_lines(url: str) -> float:
    lines = ask(url + "/metrics").text.splitlines()
    return float(
        next(line for line in lines if line.startswith('goodfaith_log_lines_lost_total{why="unread"}')).split()[1]
    )


# ----------------------------------------------------------------------------------------- a home it may not write


@pytest.mark.parametrize("command", [["run"], ["init", "--resync", "--yes"], ["signing", "export", "FILE"]])
def test_a_lock_that_cannot_be_written_is_one_sentence(solo: Path, tmp_path: Path, command: list[str]) -> None:
    # What a read-only medium and another user's file are to a process that may do everything, as tests may.
    (solo / "lock").mkdir()
    named = [str(tmp_path / "file") if word == "FILE" else word for word in command]
    ended = run_to_end(*named, "--home", str(solo))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "lock cannot be written" in ended.stderr
