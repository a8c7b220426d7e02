"""The explorer's files: those that are there when the node starts, and no way out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from p2p.local.pages import Pages
from p2p.local.problems import Problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("not for anybody")
    inner = tmp_path / "explorer"
    (inner / "vendor" / "deep").mkdir(parents=True)
    (inner / "index.html").write_text("<!doctype html>")
    (inner / "vendor" / "lib.js").write_text("export {}")
    (inner / "vendor" / "deep" / "x.js").write_text("too deep")
    (inner / "notes.py").write_text("of no known type")
    return inner


def request(tag: str = "") -> Request:
    return Request({"type": "http", "headers": [(b"if-none-match", tag.encode())]})


def test_files_have_their_types_and_a_policy_that_lets_them_load_nothing_else(folder: Path) -> None:
    pages = Pages(folder, ("http://127.0.0.1:4081",))
    reply = pages.answer(request(), "index.html")
    policy = reply.headers["content-security-policy"]
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert policy.startswith("default-src 'self'; connect-src 'self' http://127.0.0.1:4081;")
    assert "frame-ancestors 'none'" in policy
    assert pages.answer(request(), "vendor/lib.js").headers["content-type"].startswith("text/javascript")


def test_a_file_that_is_the_same_is_not_sent_again(folder: Path) -> None:
    pages = Pages(folder)
    tag = pages.answer(request(), "index.html").headers["etag"]
    assert pages.answer(request(tag), "index.html").status_code == 304
    assert pages.answer(request('"other"'), "index.html").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["", "../secret.txt", "vendor/../index.html", "/etc/passwd", "vendor", "notes.py", "vendor/deep/x.js", "new.js"],
)
def test_no_other_name_leads_anywhere(folder: Path, name: str) -> None:
    pages = Pages(folder)
    (folder / "new.js").write_text("came later")
    with pytest.raises(Problem) as failure:
        pages.answer(request(), name)
    assert failure.value.status == 404
