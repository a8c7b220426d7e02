"""Why a peer is sent away, as bytes and in words."""

from __future__ import annotations

import pytest

from chain.base.codec import encode
from chain.base.errors import Refused
from p2p.refusals import MAX_REFUSAL_BYTES, MAX_TEXT_BYTES, Refusal, Why, of_another

PREFIX = "/goodfaith/11/1111111111111111/"


@pytest.mark.parametrize("why", Why)
def test_a_refusal_reads_as_it_was_written_and_each_has_words_and_a_remedy(why: Why) -> None:
    refusal = Refusal(why, 60, "you asked too often")
    assert Refusal.decode(refusal.encode()) == refusal
    assert refusal.in_words.startswith("it ")
    assert refusal.in_words.endswith('("you asked too often")')
    assert refusal.remedy.startswith("it says so for 60 s more; ")


def test_a_reason_of_a_later_version_is_another_one() -> None:
    assert Refusal.decode(encode((200, 5, b"because"))) == Refusal(Why.OTHER, 5, "because")


def test_a_long_text_is_cut_between_characters() -> None:
    data = Refusal(Why.BANNED, 2**40, "ü" * 150).encode()
    assert len(data) <= MAX_REFUSAL_BYTES
    assert Refusal.decode(data) == Refusal(Why.BANNED, 2**32 - 1, "ü" * (MAX_TEXT_BYTES // 2))


def test_what_a_stranger_writes_stays_on_one_line_of_a_log() -> None:
    assert Refusal.decode(encode((0, 0, b"all well\nERROR \x1b[31m\xff"))).text == "all well?ERROR ?[31m\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode((1, 2)),
        encode((256, 0, b"")),
        encode((1, 2**32, b"")),
        encode((1, 0, 5)),
        encode((1, 0, b"x" * (MAX_TEXT_BYTES + 1))),
        encode((1, 0, b"x" * MAX_REFUSAL_BYTES)),
    ],
)
def test_what_is_no_refusal_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        Refusal.decode(data)


@pytest.mark.parametrize(
    ("protocols", "why", "words"),
    [
        (
            ["/goodfaith/11/2222222222222222/hello"],
            Why.NETWORK,
            "begins with 2222222222222222, ours with 1111111111111111",
        ),
        (["/ipfs/id/1.0.0", "/goodfaith/8/1111111111111111/hello"], Why.VERSION, "speaks version 8 of the protocol"),
        (["/ipfs/kad/1.0.0", "/goodfaith/refused/1"], Why.NETWORK, "no protocol of this kind (kubo/0.29)"),
        ([], Why.NETWORK, "no protocol of this kind (kubo/0.29)"),
    ],
)
def test_what_is_of_another_kind_is_told_apart(protocols: list[str], why: Why, words: str) -> None:
    refusal, what = of_another(PREFIX, protocols, "kubo/0.29")
    assert refusal == Refusal(why, 0, f"this node speaks {PREFIX}")
    assert words in what
