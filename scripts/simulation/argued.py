"""Breaks of the consensus without an effect that a history can show, each with the reason."""

from __future__ import annotations

#: By the key of the mutant.
ARGUED: dict[str, str] = {
    "judgement.check_follows: header.slot <= parent.slot -> False": (
        "Who leaves slots out can use them later, each twice at most (`MAX_BLOCKS_PER_SLOT`), and while they are less "
        "than `MAX_LATE_SLOTS` old: finality is put off for as long as they last."
    ),
    "judgement.check_follows: header.slot <= parent.slot -> header.slot < parent.slot": (
        "Two blocks of one validator and slot are evidence, whichever stands on the other."
    ),
    "sync.(module): REST_MS = 2000 -> REST_MS = 2001": "Each node's own: how much it does at a time, or how often.",
    "sync.(module): REST_MS = 2000 -> REST_MS = 1999": "Each node's own: how much it does at a time, or how often.",
}
