"""``config.toml``: written, read again, and every mistake in it named by its line, with what to write instead."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from chain.base.errors import OperatorError
from p2p.local.config import HomeConfig, live_settings, read_config, split_http

CONFIG = HomeConfig(
    listen=["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/4001"],
    peers=["/dns4/bücher.example/tcp/1/p2p/x"],
    external_address="/ip4/203.0.113.7/tcp/4001",
    mode="pruned",
    seeds=["/dnsaddr/seeds.example/p2p/x"],
    http="[::1]:0",
    max_peers=7,
    ban_s=60,
    log_level="debug",
    allow_partitions=True,
)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("listen = [", "config.toml is not valid TOML: "),
        ("\n\nlisten =\n", "config.toml, line 3: is not valid TOML: Invalid value at character 9"),
        ("ban_s = 1\nban_s = 2", "config.toml, line 2: is not valid TOML: Cannot overwrite a value at character"),
        ("# a\n\nban_s = 9\n\n\n\nlisen = []", r"config.toml, line 7: no setting 'lisen'; did you mean 'listen'\?"),
        ("max_peer = 3", r"line 1: no setting 'max_peer'; did you mean 'max_peers'\?"),
        (
            "colour = 1",
            "line 1: no setting 'colour'; choose from allow_partitions, ban_s, checkpoint, external_address, http",
        ),
        ("listen = [\n  '/x',\n]\nban_s = 0", "line 4: ban_s must be from 1 to 86400"),
        ("ban_s = 0\nlisen = []", "line 1: ban_s"),
        ("ban_s = 10\n[lisen]\nx = 1", "line 2: no setting 'lisen'"),
        ("listen = []", "line 1: listen must be a list of texts, at least one"),
        ('listen = "/ip4/127.0.0.1/tcp/0"', r"line 1: listen must be written like \["),
        ("peers = [1]", "line 1: peers must be a list of texts"),
        ("max_peers = 0", "max_peers must be from 1 to 1000"),
        ("max_peers = 1001", "max_peers must be from 1 to 1000"),
        ("max_peers = true", "max_peers must be written like 32"),
        ("max_peers = 3.5", "max_peers must be written like 32"),
        ("allow_partitions = 1", "allow_partitions must be written like false"),
        ("log_level = 'loud'", "log_level must be one of debug, info, warning, error"),
        ("mode = 'prune'", "mode must be one of archive, full, pruned"),
        ("http = 4080", 'http must be written like "127.0.0.1:4080"'),
        ('\n\nhttp = "4080"', "line 3: http must be host:port like 127.0.0.1:4080"),
        ("\n[http]", "line 2: http must be written like"),
        ("private = true", "a private node needs its front nodes as peers"),
        ('private = true\npeers = ["x"]\nseeds = ["y"]', "a private node needs its front nodes as peers"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(tmp_path: Path, text: str, remedy: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(OperatorError, match=remedy):
        read_config(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"# caf\xe9", r"is not UTF-8 \(at byte 5\); save it as UTF-8"),
        (b"a\x00b", "is not valid TOML"),
        (b"max_peers = " + b"[" * 5_000, "is not valid TOML"),
    ],
)
def test_a_configuration_that_is_no_text_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(OperatorError, match=what):
        read_config(tmp_path / "config.toml")


def test_a_configuration_that_cannot_be_read_is_not_called_wrong(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(OperatorError, match="cannot be read: Is a directory"):
        read_config(tmp_path / "config.toml")


def test_missing_settings_take_their_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("max_peers = 3\n", encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == HomeConfig(max_peers=3)


@pytest.mark.parametrize(
    "config",
    [HomeConfig(), CONFIG, HomeConfig(peers=['"\\\n\t\x00\x1f\x7f\x80\u2028', "\U0001f600", ""], max_peers=1_000)],
    ids=["default", "all-changed", "odd-characters"],
)
def test_a_configuration_survives_being_written(tmp_path: Path, config: HomeConfig) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert read_config(path) == config


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:4080", ("127.0.0.1", 4080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65_535)),
    ],
)
def test_http_addresses_are_read(text: str, parts: tuple[str, int]) -> None:
    assert split_http(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", ":", "4080", ":4080", "localhost", "localhost:", "localhost:65536", "localhost:-1", "localhost:http",
     "[::1]", "localhost:" + "9" * 5_000],
)  # fmt: skip
def test_other_http_addresses_are_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="http must be host:port like"):
        split_http(text)


def test_every_setting_says_what_it_is_for() -> None:
    for item in fields(HomeConfig):
        assert len(item.metadata["comment"]) > 10
        assert item.metadata["check"](getattr(HomeConfig(), item.name))
    assert live_settings() == {"max_peers", "ban_s", "log_level"}


def test_no_two_configurations_share_a_list() -> None:
    assert HomeConfig().peers is not HomeConfig().peers
