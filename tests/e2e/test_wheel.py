"""The wheel, as running.md builds and installs it, in an empty environment and an empty folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from chain.content.actions import Enrol
from chain.content.genesis import load_genesis
from p2p.local.config import HomeConfig
from tests.support.running import DEADLINE_S, ROOT, RunningNode, wait_for
from tests.support.world import Actor

# With no compiler to be had.
ENVIRONMENT = {**os.environ, "CC": "false", "CXX": "false"}


def command(*arguments: str | Path, cwd: Path) -> str:
    """Run to the end; what it said."""
    done = subprocess.run(
        arguments, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def uv(*arguments: str | Path, cwd: Path) -> str:
    return command(sys.executable, "-m", "uv", "--quiet", *arguments, cwd=cwd)


def sources() -> set[str]:
    """What a node consists of."""
    files = (path for room in ("chain", "p2p") for path in (ROOT / room).rglob("*"))
    return {"node.py"} | {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.suffix in {".py", ".toml", ".typed", ".md", ".html", ".css", ".js", ".svg"}
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, and the list of all that it needs."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--out-dir", folder, cwd=ROOT)
    versions = folder / "requirements.txt"
    uv("export", "--no-default-groups", "--no-emit-project", "--no-hashes", "--output-file", versions, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel, versions


def test_the_wheel_holds_what_a_node_consists_of(dist: tuple[Path, Path]) -> None:
    with ZipFile(dist[0]) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == sources()


def test_the_wheel_runs_a_node_without_a_compiler_or_this_folder(dist: tuple[Path, Path], tmp_path: Path) -> None:
    environment, folder = tmp_path / "environment", tmp_path / "empty"
    wheel, versions = dist
    folder.mkdir()
    uv("venv", "--python", sys.executable, environment, cwd=folder)
    uv("pip", "install", "--python", environment, "--no-deps", "-r", versions, wheel, cwd=folder)

    goodfaith, home = environment / "bin" / "goodfaith", folder / "home"
    command(goodfaith, "init", "--home", home, "--new-network", "village", "--slot-ms", "200", cwd=folder)
    config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")
    (home / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    with (
        (folder / "home.log").open("w") as log,
        subprocess.Popen([goodfaith, "run", "--home", home], cwd=folder, stderr=log, text=True) as process,
    ):
        try:
            node = RunningNode(home, process)
            node.wait_ready()
            assert node.submit([Actor(load_genesis(home / "genesis.json"), 1).sign(Enrol())]) == [None]
            wait_for(lambda: node.status()["final_transactions"] == 1, "a member is enrolled")
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0, node.log()
        finally:
            process.kill()
