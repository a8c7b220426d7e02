"""One decoder under coverage-guided fuzzing (libFuzzer, through atheris), in a process of its own.

``python -m scripts.fuzz_parts.child NAME RUNS SEED CORPUS``; libFuzzer ends the process itself.  What it found is
in CORPUS: the counts as ``outcome.json``, and an input that broke the decoder as ``crash-…``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["chain", "p2p.handshake", "p2p.addresses"]):
    from chain.base.errors import Refused
    from scripts.fuzz_parts.decoders import DECODERS
from scripts.fuzz_parts.mutate import restructured

REPORT_EVERY = 10_000


def main() -> None:
    """Fuzz one decoder."""
    name, runs, seed, corpus = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    decoder = DECODERS[name]
    counts = {"inputs": 0, "accepted": 0, "refused": 0}

    def report() -> None:
        draft = corpus / "outcome.draft"
        draft.write_text(json.dumps(counts), encoding="ascii")
        draft.replace(corpus / "outcome.json")

    def one_input(data: bytes) -> None:
        counts["inputs"] += 1
        try:
            decoded = decoder.decode(data)
        except Refused:
            counts["refused"] += 1
        else:
            counts["accepted"] += 1
            if decoder.again is not None and decoder.again(decoded) != data:
                raise AssertionError("what was read is not what was written")
        if counts["inputs"] % REPORT_EVERY == 0 or counts["inputs"] >= runs:
            report()

    def mutate(data: bytes, max_size: int, number: int) -> bytes:
        random = Random(number)
        changed = restructured(data, random) if random.random() < 0.6 else None
        if changed is None or len(changed) > max_size:
            changed = atheris.Mutate(data, max_size)
        return bytes(changed)

    folder = corpus / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    for number, original in enumerate(decoder.originals):
        (folder / f"original{number}").write_bytes(original)
    longest = max(4_096, *(2 * len(original) for original in decoder.originals))
    options = [f"-atheris_runs={runs}", f"-seed={seed}", f"-max_len={longest}", f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(folder)], one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
